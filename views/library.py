"""The library page: what the collection holds, as numbers, a map, look-alikes and charts.

frontend/library.js draws it, from the answers of retrieval.api.library; this script only says
where it is, so it waits for no index and no checkpoint.
"""

from pathlib import Path

import streamlit as st

from retrieval.hub import Address, is_address
from retrieval.paths import STARTER
from retrieval.web.frontend import frontend_folder
from retrieval.web.translations import texts
from views.common import page_settings, tr

# Mounted once per page and language: Streamlit calls this again at each run of the script.
MOUNT = """
export default function ({ parentElement, data }) {
  const told = JSON.stringify(data);
  const known = parentElement.querySelector("[data-mount]");
  if (known?.told === told) return;
  known?.mounted?.destroy();
  known?.remove();
  const root = Object.assign(document.createElement("div"), { told });
  root.dataset.mount = data.module;
  parentElement.append(root);
  const base = new URL(location.pathname.replace(/[^/]*\\/?$/, ""), location.origin).href;
  import(new URL(data.module, base)).then((module) => {
    if (root.isConnected) root.mounted = module.mountLibrary(root, { base, ...data.config });
  });
}
"""
OTHER_TEXTS = ("gifs", "frames", "animated")


def page() -> None:
    index = page_settings().index
    st.title(tr("library_title", where=name_of(index)))
    language = st.session_state.lang
    known = texts(language)
    shown = {
        key: text
        for key, text in known.items()
        if key.startswith(("lib_", "chart_")) or key in OTHER_TEXTS
    }
    config = {"lang": language, "texts": shown, "library": name_of(index)}
    mount = st.components.v2.component("library", js=MOUNT)
    mount(data={"module": f"{frontend_folder()}/library.js", "config": config}, key="library")


def name_of(index: Path | str) -> str:
    """The collection's name in headings."""
    if index == STARTER:
        return tr("starter")
    return Address.parse(index).repo_id if is_address(index) else Path(index).name


page()
