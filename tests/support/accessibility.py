"""What a browser says of accessibility: axe-core's violations, the focus, layout shift."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

# What a theme can break, as it changes colours alone.
COLOURS = ("color-contrast", "link-in-text-block")
# axe leaves out targets below 24 × 24 pixels (WCAG 2.2) unless it is asked.
OPTIONS: dict[str, Any] = {
    "resultTypes": ["violations"],
    "rules": {"target-size": {"enabled": True}},
}

_RECORD_SHIFTS = """
window.layoutShifts = [];
new PerformanceObserver((list) => {
  for (const {value, hadRecentInput} of list.getEntries())
    layoutShifts.push({value, isAnswer: hadRecentInput});
}).observe({type: "layout-shift", buffered: true});
"""
_FOCUSED = """() => {
  let active = document.activeElement;
  while (active?.shadowRoot?.activeElement) active = active.shadowRoot.activeElement;
  return active?.getAttribute("aria-label") ?? active?.labels?.[0]?.textContent
    ?? active?.textContent ?? "";
}"""


def violations(page: Page, without: Iterable[str] = (), rules: Sequence[str] = ()) -> list[str]:
    """Each element that breaks a rule of axe-core, whatever its impact, with the reason.

    `without` are selectors of elements that are not judged; `rules` are the only ones to judge by.
    """
    context = {"exclude": [[selector] for selector in without]} if without else None
    options = {**OPTIONS, "rules": {}, "runOnly": list(rules)} if rules else OPTIONS
    found = Axe().run(page, context=context, options=options).response["violations"]
    return [
        f"{rule['id']}: {node['target']} {node['html'][:200]} {node['failureSummary']}"
        for rule in found
        for node in rule["nodes"]
    ]


def focused(page: Page) -> str:
    """The name of the element that has the focus."""
    return str(page.evaluate(_FOCUSED))


def record_shifts(page: Page) -> None:
    """Record layout shifts from the next navigation on."""
    page.add_init_script(_RECORD_SHIFTS)


def layout_shift(page: Page, *, after_input: bool = False) -> float:
    """The sum of all layout shifts since the navigation.

    With `after_input` also of those that answer a key or a click, which browsers do not count.
    """
    shifts = page.evaluate("layoutShifts")
    return float(sum(each["value"] for each in shifts if after_input or not each["isAnswer"]))
