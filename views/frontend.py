"""Mount the modules of frontend/ as Streamlit components."""

from collections.abc import Mapping

import streamlit as st

# Streamlit runs this again whenever the script has run, and what it returns when the page is left.
_LOADER = """
const modules = new Map();
export default function ({parentElement, data}) {
  const address = new URL(`${data.base}${data.frontend}/${data.module}`, location.origin).href;
  let leave = null, isLeft = false;
  import(address).then((module) => { if (!isLeft) leave = module.mount(parentElement, data); });
  return () => { isLeft = true; leave?.(); };
}
"""


def mount(module: str, config: Mapping[str, object]) -> None:
    """Render frontend/MODULE here; it exports mount(element, config), which returns its end."""
    name = module.removesuffix(".js")
    component = st.components.v2.component(
        f"reaction_{name}", html="<div></div>", js=_LOADER, isolate_styles=False
    )
    component(key=name, data={**config, "module": module})


# Streamlit's own document says English, and its tables that scroll cannot be scrolled by keys.
_DOCUMENT = """
export default function ({data}) {
  document.documentElement.lang = data.lang;
  const resized = new ResizeObserver((entries) => entries.forEach(({target}) => {
    if (target.scrollWidth > target.clientWidth) target.tabIndex = 0;
    else target.removeAttribute("tabindex");
  }));
  const find = () => document.querySelectorAll("[data-testid=stMarkdownContainer] table")
    .forEach((table) => resized.observe(table));
  const changed = new MutationObserver(find);
  changed.observe(document.body, {childList: true, subtree: true});
  find();
  return () => { changed.disconnect(); resized.disconnect(); };
}
"""


def mark_language(language: str) -> None:
    """Tell screen readers and browsers the page's language, as an ISO 639-1 code."""
    component = st.components.v2.component("reaction_document", js=_DOCUMENT)
    component(key="document", data={"lang": language})
