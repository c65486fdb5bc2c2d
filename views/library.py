"""The library page: what the collection holds, in numbers, charts, a map and a table."""

import altair as alt
import numpy as np
import pandas as pd
import streamlit as st

from retrieval.library import UNKNOWN_LICENSE, is_web_address
from retrieval.search import Searcher
from retrieval.web import near_duplicates, project, sample_of
from views.common import get_searcher, library_name, tr
from views.media import gif_address, media_of, render_image

THUMBNAIL_WIDTH = 96
MAX_GROUPS_SHOWN = 20


def page() -> None:
    searcher = get_searcher()
    st.title(tr("library_title", where=library_name(searcher)))
    render_counts(searcher)
    render_charts(searcher)
    render_map(searcher)
    render_duplicates(searcher)
    render_table(searcher)


def render_counts(searcher: Searcher) -> None:
    """The number of GIFs, frames and bytes; warnings for unknown licences and missing files."""
    records = searcher.collection.records
    sizes = _sizes_bytes(searcher)
    with st.container(horizontal=True):
        st.metric(tr("gifs"), f"{len(records):,}")
        st.metric(tr("frames"), f"{len(searcher.collection.embeddings):,}")
        st.metric(tr("animated"), f"{records.animated.sum():,}")
        st.metric(tr("megabytes"), f"{sum(size or 0 for size in sizes) / 1e6:,.1f}")
    n_unknown = sum(record.license == UNKNOWN_LICENSE for record in records)
    if n_unknown:
        st.warning(tr("unknown_license", n=n_unknown))
    n_missing = sum(
        size is None and not is_web_address(record.uri)
        for record, size in zip(records, sizes, strict=True)
    )
    if n_missing:
        st.warning(tr("not_shown", n=n_missing))


@st.cache_data(show_spinner=False, max_entries=4, hash_funcs={Searcher: id})
def _sizes_bytes(searcher: Searcher) -> list[int | None]:
    """The size of each record's file; None if it cannot be shown."""
    manifest = getattr(searcher.collection, "manifest", None)
    known = manifest.files if manifest else {}
    sizes: list[int | None] = []
    for record in searcher.collection.records:
        if record.uri in known:
            sizes.append(known[record.uri]["bytes"])
        else:
            file = media_of(record, searcher)
            sizes.append(file.size_bytes if file else None)
    return sizes


def render_charts(searcher: Searcher) -> None:
    """Charts of licences, sources, durations and sizes."""
    records = searcher.collection.records
    frame = pd.DataFrame(
        {
            "license": [r.license or tr("unknown") for r in records],
            "source": [r.source or tr("unknown") for r in records],
            "duration": [r.duration_ms / 1000 for r in records],
            "size": [(size or 0) / 1000 for size in _sizes_bytes(searcher)],
        }
    )
    for row in (("license", "source"), ("duration", "size")):
        for column, name in zip(st.columns(2), row, strict=True):
            title, count = tr(f"chart_{name}"), tr("gifs")
            if name in ("duration", "size"):
                x = alt.X(name, bin=alt.Bin(maxbins=20), title=title)
                y = alt.Y("count()", title=count)
            else:
                x = alt.X("count()", title=count)
                y = alt.Y(name, title=title, sort="-x")
            chart = alt.Chart(frame).mark_bar().encode(x=x, y=y).properties(height=180)
            column.altair_chart(chart, width="stretch", alt=title)


def render_map(searcher: Searcher) -> None:
    """The embeddings projected to two dimensions; pointing at one shows its GIF."""
    st.subheader(tr("map"))
    st.write(tr("map_help"))
    records = searcher.collection.records
    rows = sample_of(records)
    positions = _positions(searcher, tuple(rows))
    frame = pd.DataFrame(
        {
            "x": positions[:, 0],
            "y": positions[:, 1],
            "title": [records[i].title[:60] for i in rows],
            # Vega's tooltip shows a field of this name as a picture.
            "image": [gif_address(records[i], searcher) or "" for i in rows],
        }
    )
    axis = alt.Axis(labels=False, ticks=False, grid=False, title=None, domain=False)
    chart = (
        alt.Chart(frame)
        .mark_circle(size=90, opacity=0.7)
        .encode(x=alt.X("x", axis=axis), y=alt.Y("y", axis=axis), tooltip=["title", "image"])
        .properties(height=480)
        .interactive()
    )
    st.altair_chart(chart, width="stretch", alt=tr("map"))


@st.cache_data(show_spinner=False, max_entries=4, hash_funcs={Searcher: id})
def _positions(searcher: Searcher, rows: tuple[int, ...]) -> np.ndarray:
    return project(searcher.means(rows))


def render_duplicates(searcher: Searcher) -> None:
    """Groups of look-alikes, as search folds them."""
    groups = near_duplicates(searcher)
    st.subheader(tr("duplicates", n=len(groups)))
    for group in groups[:MAX_GROUPS_SHOWN]:
        with st.container(horizontal=True, border=True):
            for record in group:
                with st.container(width=THUMBNAIL_WIDTH):
                    render_image(gif_address(record, searcher), record.title[:60])


def render_table(searcher: Searcher) -> None:
    """All records: sortable, filterable, downloadable as CSV."""
    st.subheader(tr("table"))
    needle = st.text_input(tr("table_filter"), help=tr("table_filter_help"))
    rows = [
        {
            "emoji": r.emoji,
            "title": r.title[:200],
            "tags": ", ".join(r.tags),
            "license": r.license,
            "attribution": r.attribution,
            "source": r.source,
            "frames": r.n_frames,
            "seconds": r.duration_ms / 1000,
            "width": r.width,
            "height": r.height,
            "id": r.id,
        }
        for r in searcher.collection.records
    ]
    frame = pd.DataFrame(rows)
    if needle.strip():
        text = frame[["title", "tags", "emoji", "license"]].agg(" ".join, axis=1).str.lower()
        frame = frame[text.str.contains(needle.strip().lower(), regex=False)]
    st.dataframe(frame, hide_index=True, width="stretch")
    st.download_button(
        tr("table_download"),
        frame.to_csv(index=False).encode(),
        file_name="library.csv",
        mime="text/csv",
        on_click="ignore",
    )


page()
