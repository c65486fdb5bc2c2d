"""Errors as answers: problem details, RFC 9457, without a path of this machine."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus

from starlette.responses import JSONResponse, Response

from retrieval.errors import (
    BusyError,
    FeedbackError,
    MediaError,
    QueryError,
    RetrievalError,
    SourceError,
    StoppedError,
)
from retrieval.web import visible

BUSY_RETRY_S = 5
_log = logging.getLogger(__name__)
_STATUS: tuple[tuple[type[Exception], HTTPStatus], ...] = (
    (StoppedError, HTTPStatus.SERVICE_UNAVAILABLE),  # nobody reads it: the client has left
    (FeedbackError, HTTPStatus.INSUFFICIENT_STORAGE),
    (QueryError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (MediaError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (SourceError, HTTPStatus.UNPROCESSABLE_ENTITY),
)


class ProblemError(Exception):
    """What an operation cannot do, with its HTTP status; `code` is for programs."""

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        code: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        more: dict[str, object] | None = None,
    ):
        super().__init__(detail)
        self.status, self.detail, self.code = status, detail, code
        self.headers, self.more = headers or {}, more or {}


def problem_response(error: Exception) -> Response:
    """The answer for an error of the library or of this package."""
    error = problem_of(error)
    content: dict[str, object] = {
        "type": "about:blank",
        "title": error.status.phrase,
        "status": int(error.status),
        "detail": visible(error.detail),
        **error.more,
    }
    if error.code:
        content["code"] = error.code
    headers = {"Cache-Control": "no-store", **error.headers}
    return JSONResponse(
        content, int(error.status), headers=headers, media_type="application/problem+json"
    )


def problem_of(error: Exception) -> ProblemError:
    """The error as a problem; one that is none is logged. `detail` may have paths (`visible`)."""
    if isinstance(error, ProblemError):
        return error
    known = isinstance(error, RetrievalError)
    _log.log(logging.INFO if known else logging.ERROR, "%s", error, exc_info=not known)
    if isinstance(error, BusyError):
        headers = {"Retry-After": str(BUSY_RETRY_S)}
        return ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, str(error), "busy", headers=headers)
    for kind, status in _STATUS:
        if isinstance(error, kind):
            return ProblemError(status, str(error))
    if isinstance(error, RetrievalError):
        return ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, str(error), "failed")
    if isinstance(error, OSError):
        return ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, "This library is not open.", "failed")
    detail = "The server failed to answer. Its log says why."
    return ProblemError(HTTPStatus.INTERNAL_SERVER_ERROR, detail, "failed")
