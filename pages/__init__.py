"""The pages: thin, a page a file, a function a panel."""
