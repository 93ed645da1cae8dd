"""`review --web` in a real browser, as a person would use it."""

import re
import shutil
import signal
from collections.abc import Iterator
from typing import Any

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytest.importorskip("textual_serve", reason="review --web needs textual-serve")

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
BROWSER = next((found for name in NAMES if (found := shutil.which(name))), None)
pytestmark = [
    pytest.mark.skipif(BROWSER is None, reason=f"no browser is installed: {', '.join(NAMES)}"),
    pytest.mark.slow,
]
WAIT_MS = 60_000


@pytest.fixture
def page() -> Iterator[Any]:
    """A page of a headless browser, big enough for 80 by 24; it notes what it asks for and what goes wrong."""
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1000, "height": 600})
        page.asked, page.faults = [], []
        page.on("request", lambda request: page.asked.append(request.url))
        page.on("pageerror", lambda error: page.faults.append(str(error)))
        page.on("console", lambda said: page.faults.append(said.text) if said.type == "error" else None)
        page.add_init_script(KEEP_FRAMES)
        yield page
        browser.close()


KEEP_FRAMES = """
window.shown = "";
const RealSocket = WebSocket;
window.WebSocket = class extends RealSocket {
  constructor(...words) {
    super(...words);
    this.addEventListener("message", (event) => {
      if (typeof event.data !== "string") window.shown += new TextDecoder().decode(event.data);
    });
  }
};
"""
"""The terminal is a canvas; what it was given to show is kept beside it."""


def wait_for(page: Any, words: str) -> None:
    """Wait until the terminal was given WORDS; what came before is forgotten."""
    page.wait_for_function("words => window.shown.includes(words)", arg=words, timeout=WAIT_MS)


def press(page: Any, *keys: str) -> None:
    page.evaluate("() => { window.shown = '' }")
    for key in keys:
        page.keyboard.press(key)


def test_a_pair_is_judged_by_keys_in_a_browser(page, served, review_pairs):
    page.goto(served.address)
    wait_for(page, "one?")
    wait_for(page, "Quit")
    assert "token" not in page.url
    press(page, "b")
    wait_for(page, "second answer")
    assert "gpt-" not in page.evaluate("() => window.shown")
    press(page, "u", "k", "1")
    wait_for(page, "gpt-3.5-turbo")
    press(page, "Control+q")
    page.wait_for_selector("#ended", state="visible", timeout=WAIT_MS)
    served.process.send_signal(signal.SIGINT)
    assert served.process.wait(60) == 0  # by then the page's process has handed its vote to the store
    assert review_pairs() == [("a-is-better", True, False, "camels5-blind")]
    assert page.faults == []
    port = re.search(r":(\d+)/", served.address)[1]
    assert {re.match(r"\w+://([^/]+)/", asked)[1] for asked in page.asked} == {f"127.0.0.1:{port}"}


def test_the_page_opens_again_after_it_was_left(page, served):
    page.goto(served.address)
    wait_for(page, "one?")
    press(page, "q")
    page.wait_for_selector("#ended", state="visible", timeout=WAIT_MS)
    page.click("#ended a")
    wait_for(page, "one?")


def test_a_link_in_a_text_and_another_site_open_nothing(page, served):
    page.goto(served.address)
    wait_for(page, "one?")
    assert page.evaluate("() => window.open('https://example.org') === null")
    address = page.url.replace("http://", "ws://") + "ws?width=80&height=24"
    page.goto("data:text/html,<p>another site</p>")
    told = page.evaluate(
        "address => new Promise(done => { const one = new WebSocket(address);"
        " one.onopen = () => done('open'); one.onerror = () => done('refused'); })",
        address,
    )
    assert told == "refused"
