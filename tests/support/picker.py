"""The search page as a person uses it: what is typed, clicked, dropped and read on the screen."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Locator, Page, Route, expect

from tests.support.browser import ARTIFACTS

DESKTOP, PHONE = (1280, 800), (390, 844)
SIZES = {"desktop": DESKTOP, "phone": PHONE}
TIMEOUT_MS = 8_000
expect.set_options(timeout=TIMEOUT_MS)
IN_PLACE = "[data-testid=stMain] .reaction-picker"  # once Streamlit has started

# Stands in for a phone's share sheet, which headless browsers do not have.
FAKE_SHARE_SHEET = """
window.shared = [];
navigator.canShare = (data) => Boolean(data.files?.length);
navigator.share = async (data) => {
  for (const file of data.files) shared.push({name: file.name, type: file.type, bytes: file.size});
};
"""

# What a browser lacks on a page that was not opened over HTTPS.
WITHOUT_CLIPBOARD = "Object.defineProperty(navigator, 'clipboard', {value: undefined});"

# Drops or pastes files that are given as [name, type, base64].
DELIVER = """([kind, files]) => {
  const transfer = new DataTransfer();
  for (const [name, type, text] of files) {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    transfer.items.add(new File([bytes], name, {type}));
  }
  const options = {bubbles: true, cancelable: true, composed: true};
  document.body.dispatchEvent(kind === "paste"
    ? new ClipboardEvent("paste", {...options, clipboardData: transfer})
    : new DragEvent(kind, {...options, dataTransfer: transfer}));
}"""


@contextmanager
def picker(
    browser: Browser,
    address: str,
    size: tuple[int, int],
    *,
    script: str = "",
    alone: bool = False,
    **options: Any,
) -> Iterator[Page]:
    """A new visitor's page at this address; a phone's if it is as small as one.

    `script` runs before the page's own. `alone` keeps Streamlit from starting, which takes a test
    two seconds. Pictures stand still until they are pointed at, unless `reduced_motion` says
    otherwise: Chromium decodes them in software, which takes half of a test's time. A page error
    fails the test.
    """
    is_phone = size == PHONE
    options = {"reduced_motion": "reduce", **options}
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        is_mobile=is_phone,
        has_touch=is_phone,
        permissions=["clipboard-read", "clipboard-write"],
        **options,
    )
    context.set_default_timeout(TIMEOUT_MS)
    if script:
        context.add_init_script(script)
    page = context.new_page()
    if alone:
        page.route("**/static/js/**", lambda route: route.abort())
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(address)
    expect(cards(page).first).to_be_visible()
    yield page
    context.close()
    assert not errors, errors


def in_place(page: Page) -> Page:
    """Wait until the picker stands among Streamlit's elements."""
    page.wait_for_selector(IN_PLACE, state="attached")
    return page


class Held:
    """Requests that wait until they are released."""

    def __init__(self) -> None:
        self._waiting: list[Route] | None = []

    def take(self, route: Route) -> None:
        if self._waiting is None:
            route.continue_()
        else:
            self._waiting.append(route)

    def release(self) -> None:
        waiting, self._waiting = self._waiting or [], None
        for route in waiting:
            route.continue_()


def hold(page: Page, address: str) -> Held:
    """Hold all requests to addresses of this form."""
    held = Held()
    page.route(address, held.take)
    return held


def box(page: Page) -> Locator:
    return page.locator("#message")


def cards(page: Page) -> Locator:
    return page.locator(".reaction-picker .card")


def first_title(page: Page) -> Locator:
    return cards(page).first.locator(".title")


def titles(page: Page, n: int = 12) -> list[str]:
    """The titles of the first results, as they are ranked."""
    shown = cards(page).evaluate_all(
        "cards => cards.map(card => [card.ariaPosInset ?? card.getAttribute('aria-posinset'),"
        " card.querySelector('.title').textContent])"
    )
    return [title for _, title in sorted((int(number), title) for number, title in shown)][:n]


def chips(page: Page) -> Locator:
    return page.locator(".chips .chip .text")


def remove_chip(page: Page, text: str) -> Locator:
    """The button of a chip."""
    return page.locator(".chips .chip").filter(has_text=text).locator(".remove")


def toast(page: Page) -> Locator:
    return page.locator(".toast.shown")


def ask(page: Page, message: str, first: str) -> None:
    """Type a message in place of what is there, and wait for its first GIF."""
    box(page).fill(message)
    expect(first_title(page)).to_have_text(first)


def act(page: Page, card: Locator, name: str) -> None:
    """Do something with a GIF: by its buttons on hover, on a phone by its menu."""
    dots, button = card.locator(".dots"), card.get_by_role("button", name=name)
    if dots.is_hidden():
        card.hover()
    elif dots.get_attribute("aria-expanded") != "true":
        dots.tap()
    button.click()


def focused(page: Page) -> str:
    """The id, or else the accessible name, of what has the focus inside of the picker."""
    return str(
        page.evaluate(
            "() => { const { shadowRoot } = document.querySelector('.reaction-picker');"
            " const at = shadowRoot.activeElement;"
            " return at ? at.id || at.getAttribute('aria-label') || at.textContent : ''; }"
        )
    )


def scroll(page: Page, top: int) -> None:
    page.get_by_test_id("stMain").evaluate("(main, top) => main.scrollTo(0, top)", top)


def deliver(page: Page, kind: str, files: Sequence[Path], media_type: str = "image/gif") -> None:
    """Paste ("paste") or drop ("drop") files."""
    encoded = [[f.name, media_type, base64.b64encode(f.read_bytes()).decode()] for f in files]
    page.evaluate(DELIVER, [kind, encoded])


def clipboard(page: Page) -> str:
    return str(page.evaluate("navigator.clipboard.readText()"))


def keep_screenshot(page: Page, name: str) -> None:
    ARTIFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTIFACTS / f"{name}.png")
