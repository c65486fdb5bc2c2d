"""The HTTP API: Starlette routes that answer in JSON, for the page and for other programs."""
