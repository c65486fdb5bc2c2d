"""The library page: know your data."""

import altair as alt
import numpy as np
import pandas as pd
import streamlit as st

from retrieval.library import is_web_address
from retrieval.search import Searcher
from retrieval.web import near_duplicates, overview, project, sample_of
from views.common import gif_address, library_name, media_of, searcher, words

THUMBNAIL_WIDTH = 96
MAX_GROUPS_SHOWN = 20


def page() -> None:
    found = searcher()
    st.title(words("library_title", where=library_name(found)))
    counts(found)
    charts(found)
    the_map(found)
    duplicates(found)
    table(found)


def counts(found: Searcher) -> None:
    """How many GIFs, frames and bytes; a warning where a licence is not known."""
    facts = overview(found)
    sizes = _sizes_bytes(found)
    with st.container(horizontal=True):
        st.metric(words("gifs"), f"{facts.n_gifs:,}")
        st.metric(words("frames"), f"{facts.n_frames:,}")
        st.metric(words("animated"), f"{facts.n_animated:,}")
        st.metric(words("megabytes"), f"{sum(size or 0 for size in sizes) / 1e6:,.1f}")
    if facts.n_unknown_license:
        st.warning(words("unknown_license", n=facts.n_unknown_license))
    records = found.collection.records
    n_away = sum(
        size is None and not is_web_address(record.uri)
        for record, size in zip(records, sizes, strict=True)
    )
    if n_away:
        st.warning(words("not_shown", n=n_away))


@st.cache_data(show_spinner=False, max_entries=4, hash_funcs={Searcher: id})
def _sizes_bytes(found: Searcher) -> list[int | None]:
    """The size of each record's file; None where there is none that may be shown."""
    manifest = getattr(found.collection, "manifest", None)
    known = manifest.files if manifest else {}
    sizes: list[int | None] = []
    for record in found.collection.records:
        if record.uri in known:
            sizes.append(known[record.uri]["bytes"])
        else:
            file = media_of(record, found)
            sizes.append(file.size_bytes if file else None)
    return sizes


def charts(found: Searcher) -> None:
    """Licences, sources, durations and sizes."""
    records = found.collection.records
    frame = pd.DataFrame(
        {
            "license": [r.license or words("unknown") for r in records],
            "source": [r.source or words("unknown") for r in records],
            "duration": [r.duration_ms / 1000 for r in records],
            "size": [(size or 0) / 1000 for size in _sizes_bytes(found)],
        }
    )
    for row in (("license", "source"), ("duration", "size")):
        for column, name in zip(st.columns(2), row, strict=True):
            numeric = name in ("duration", "size")
            title = words(f"chart_{name}")
            chart = alt.Chart(frame).mark_bar()
            if numeric:
                chart = chart.encode(
                    x=alt.X(name, bin=alt.Bin(maxbins=20), title=title),
                    y=alt.Y("count()", title=words("gifs")),
                )
            else:
                chart = chart.encode(
                    x=alt.X("count()", title=words("gifs")),
                    y=alt.Y(name, title=title, sort="-x"),
                )
            column.altair_chart(chart.properties(height=180), width="stretch", alt=title)


def the_map(found: Searcher) -> None:
    """The embeddings in two dimensions; a point shows its GIF."""
    st.subheader(words("map"))
    st.write(words("map_help"))
    records = found.collection.records
    chosen = sample_of(records)
    places = _places(found, tuple(chosen))
    frame = pd.DataFrame(
        {
            "x": places[:, 0],
            "y": places[:, 1],
            "title": [records[i].title[:60] for i in chosen],
            # Vega's tooltip shows a field of this name as a picture.
            "image": [gif_address(records[i], found) or "" for i in chosen],
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
    st.altair_chart(chart, width="stretch", alt=words("map"))


@st.cache_data(show_spinner=False, max_entries=4, hash_funcs={Searcher: id})
def _places(found: Searcher, chosen: tuple[int, ...]) -> np.ndarray:
    return project(found.means(chosen))


def duplicates(found: Searcher) -> None:
    """Groups of look-alikes, as search folds them."""
    groups = near_duplicates(found)
    st.subheader(words("duplicates", n=len(groups)))
    for group in groups[:MAX_GROUPS_SHOWN]:
        with st.container(horizontal=True, border=True):
            for record in group:
                with st.container(width=THUMBNAIL_WIDTH):
                    title, address = record.title[:60], gif_address(record, found)
                    if address is None:
                        st.text(title)
                    else:
                        st.image(address, alt=title, width="stretch")


def table(found: Searcher) -> None:
    """Every record, to be sorted, searched and downloaded."""
    st.subheader(words("table"))
    needle = st.text_input(words("table_filter"), help=words("table_filter_help"))
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
        for r in found.collection.records
    ]
    frame = pd.DataFrame(rows)
    if needle.strip():
        text = frame[["title", "tags", "emoji", "license"]].agg(" ".join, axis=1).str.lower()
        frame = frame[text.str.contains(needle.strip().lower(), regex=False)]
    st.dataframe(frame, hide_index=True, width="stretch")
    st.download_button(
        words("table_download"),
        frame.to_csv(index=False).encode(),
        file_name="library.csv",
        mime="text/csv",
        on_click="ignore",
    )


page()
