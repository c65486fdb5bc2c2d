"""The library page's data: numbers, the map, look-alikes, tables.

GET api/v1/library           numbers, charts, licences
GET api/v1/map               places and clusters; 202 while they are computed
GET api/v1/duplicates        groups of look-alikes, a page at a time
GET api/v1/library.csv       all records
GET api/v1/licences.csv      the GIFs without a licence, as a metadata.csv to fill in

All addresses in an answer are relative to the page's root, or on the web.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from http import HTTPStatus
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from retrieval.api.gifs import FILMS, rendition_address, still_address
from retrieval.api.problems import ProblemError, problem_response
from retrieval.api.questions import parse_language, wrong
from retrieval.api.routes import API_ROUTE, NO_STORE, current_searcher
from retrieval.errors import RetrievalError
from retrieval.library import Record, is_web_address
from retrieval.search import Searcher
from retrieval.web import Overview, current_settings, library_map, open_overview, translate
from retrieval.web.library_tables import (
    LIBRARY_COLUMNS,
    LICENSE_COLUMNS,
    csv_chunks,
    library_row,
    license_row,
)
from retrieval.web.routes import embedded_frames

TITLE_CHARS = 200
GROUPS_AT_ONCE = 20
MAX_GROUPS_AT_ONCE = 200
GIFS_WITHOUT_LICENSE = 24  # shown; the table has all
SIZES_S = 0.3  # to wait for the sizes of files, before answering without
MAP_S = 2.0  # to wait for the map
STILL_WIDTH, PREVIEW_WIDTH = 100, 200  # pixels

Handler = Callable[[Request], Response]


def library_routes() -> list[Route]:
    """The routes, for the server that has the library."""
    handlers = {
        "library": library,
        "map": map_of_library,
        "duplicates": duplicates,
        "library.csv": library_csv,
        "licences.csv": licences_csv,
    }
    return [Route(f"{API_ROUTE}/{name}", answering(handler)) for name, handler in handlers.items()]


def answering(handler: Handler) -> Handler:
    """The handler, with a problem instead of an error."""

    @functools.wraps(handler)
    def endpoint(request: Request) -> Response:
        try:
            return handler(request)
        except (ProblemError, RetrievalError, OSError) as error:
            return problem_response(error)

    return endpoint


def library(request: Request) -> Response:
    """Numbers, charts, licences. `bytes` and `missing` are null while files are looked up."""
    overview = _overview()
    catalog = overview.catalog
    files = overview.files if overview.sizes.wait(SIZES_S) else None
    charts = dict(overview.charts)
    if files and files.kilobytes:
        charts["size"] = files.kilobytes
    unlicensed = overview.unlicensed
    return JSONResponse(
        {
            "version": overview.version,
            "gifs": len(catalog),
            "frames": overview.manifest.n_frames,
            "animated": int(catalog.animated.sum()),
            "bytes": files.n_bytes if files else None,
            "missing": files.n_missing if files else None,
            "unlicensed": len(unlicensed),
            "unlicensed_gifs": [
                describe(catalog[i], overview) for i in unlicensed[:GIFS_WITHOUT_LICENSE]
            ],
            "duplicates": len(overview.look_alikes),
            "charts": charts,
            "tables": {"library": "api/v1/library.csv", "unlicensed": "api/v1/licences.csv"},
        },
        headers=NO_STORE,
    )


def map_of_library(request: Request) -> Response:
    """Points and clusters; `final` says whether more points follow. 202 while there are none."""
    language = parse_language(request.query_params)
    searcher, overview = current_searcher(language), _overview()
    if not overview.is_of(searcher.collection):  # a build was swapped in, and is being loaded
        raise ProblemError(
            HTTPStatus.SERVICE_UNAVAILABLE,
            translate(language, "loading_index"),
            "loading",
            headers={"Retry-After": "1"},
        )
    made = library_map(searcher, overview.version)
    layout = made.wait(MAP_S)
    if made.failed:
        raise ProblemError(HTTPStatus.INTERNAL_SERVER_ERROR, "The map could not be made.", "failed")
    if layout is None:
        content = {"final": False, "mapped": made.n_mapped, "points": [], "clusters": []}
        return JSONResponse(content, HTTPStatus.ACCEPTED, NO_STORE | {"Retry-After": "1"})
    points = []
    middles = _middle_frames(searcher, layout.gifs)
    for number, place, cluster, frame in zip(
        layout.gifs.tolist(),
        layout.places.round(4).tolist(),
        layout.cluster_of.tolist(),
        middles,
        strict=True,
    ):
        record = overview.catalog[number]
        points.append(
            {
                "id": record.id,
                "title": record.title[:TITLE_CHARS],
                "x": place[0],
                "y": place[1],
                "cluster": cluster,
                **_pictures(record, overview, frame),
            }
        )
    clusters = [
        {
            "name": translate(language, f"reaction_{c.reaction}") if c.reaction else c.word,
            "reaction": c.reaction or None,
            "x": c.x,
            "y": c.y,
            "gifs": c.n_gifs,
        }
        for c in layout.clusters
    ]
    return JSONResponse(
        {
            "version": overview.version,
            "gifs": len(overview.catalog),
            "mapped": made.n_mapped,
            "final": made.final,
            "points": points,
            "clusters": clusters,
        },
        headers=NO_STORE,
    )


def _middle_frames(searcher: Searcher, gifs: np.ndarray) -> list[int]:
    frames = searcher.collection.embeddings
    starts = frames.starts()
    ends = np.append(starts[1:], len(frames))
    middles: list[int] = frames.frame_indices[(starts[gifs] + ends[gifs]) // 2].tolist()
    return middles


def duplicates(request: Request) -> Response:
    """Groups of near-duplicates: size, bytes and licence of each, and which one to keep."""
    overview = _overview()
    offset = _whole_number(request, "offset", 0)
    limit = min(_whole_number(request, "limit", GROUPS_AT_ONCE), MAX_GROUPS_AT_ONCE)
    groups = overview.look_alikes
    shown = groups[offset : offset + limit] if limit else []
    end = offset + len(shown)
    catalog = overview.catalog
    return JSONResponse(
        {
            "version": overview.version,
            "offset": offset,
            "next_offset": end if limit and end < len(groups) else None,
            "total": len(groups),
            "groups": [
                {
                    "id": catalog[int(group[0])].id,
                    "keep": catalog[overview.kept(group.tolist())].id,
                    "gifs": [describe(catalog[i], overview) for i in group.tolist()],
                }
                for group in shown
            ],
            "command": overview.build_command(),
        },
        headers=NO_STORE,
    )


def library_csv(request: Request) -> Response:
    """All records, streamed."""
    rows = map(library_row, _overview().catalog)
    return _table(csv_chunks(LIBRARY_COLUMNS, rows), "library.csv")


def licences_csv(request: Request) -> Response:
    """The GIFs without a licence, as a metadata.csv to be filled in."""
    overview = _overview()
    rows = (license_row(overview.catalog[i]) for i in overview.unlicensed)
    return _table(csv_chunks(LICENSE_COLUMNS, rows), "metadata.csv")


def _table(chunks: Iterator[str], name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(chunks, media_type="text/csv; charset=utf-8", headers=headers)


def describe(record: Record, overview: Overview) -> dict[str, Any]:
    """What the page shows of a GIF."""
    return {
        "id": record.id,
        "title": record.title[:TITLE_CHARS],
        "width": record.width,
        "height": record.height,
        "animated": record.n_frames > 1,
        "duration_ms": record.duration_ms,
        "bytes": overview.sizes.of(record),
        "license": record.license,
        **_pictures(record, overview, middle(embedded_frames(overview.folder, record.id))),
    }


def middle(frames: Sequence[int]) -> int:
    """The frame in the middle: the first one is often blank."""
    return int(frames[len(frames) // 2]) if len(frames) else 0


def _pictures(record: Record, overview: Overview, frame: int) -> dict[str, Any]:
    """Addresses of a still and of the moving picture; null for what cannot be shown.

    There is no still of a GIF on the web: it is not decoded here, and a map that loads hundreds
    of whole GIFs helps nobody.
    """
    film = record.uri.lower().endswith(FILMS)
    if is_web_address(record.uri):
        return {"film": film, "still": None, "preview": record.uri}
    if overview.sizes.of(record) is None:
        return {"film": film, "still": None, "preview": None}
    return {
        "film": film,
        "still": still_address(record.id, frame, STILL_WIDTH),
        "preview": rendition_address(record.id, PREVIEW_WIDTH),
    }


def _overview() -> Overview:
    return open_overview(current_settings().index)


def _whole_number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, str(default))
    if not (text.isascii() and text.isdecimal() and len(text) <= 9):
        raise wrong(name, text, "a whole number, 0 or more")
    return int(text)
