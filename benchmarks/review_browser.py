"""What a person at the review desk waits for and presses, measured in a real browser; `review_desk.py` runs it."""

import contextlib
import hashlib
import json
import statistics
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "benchmarks")]

from browsers import keystrokes, settle_archive  # type: ignore[import-not-found]  # noqa: E402
from made_desk import MODEL, SETTINGS_TEXT, command, doubtful  # type: ignore[import-not-found]  # noqa: E402
from review_store import fill  # noqa: E402

from vinscribe.review.store import Store  # noqa: E402
from vinscribe.training.cards import TRUTH_FILE, draw_card, write_cards  # noqa: E402

DPI = 200
VIEWPORT = {"width": 1280, "height": 800}
TIMEOUT_MS = 60_000

# Times of what is painted: a frame is asked for when the card's name changes, and what is run after it sees the picture
# on screen. `opened`: from the request for the page; `next`: from each press of Enter.
_WATCH = """
  window.painted = { opened: null, next: [] };
  let pressed = null;
  addEventListener("keydown", (event) => { if (event.key === "Enter") pressed = event.timeStamp; }, true);
  const note = () => {
    const now = performance.now();
    const image = document.querySelector("#strip img");
    if (document.querySelector("#card").hidden || !image?.complete || !image.naturalWidth) return;
    if (painted.opened === null) painted.opened = now;
    else if (pressed !== null) painted.next.push(now - pressed);
    pressed = null;
  };
  document.addEventListener("DOMContentLoaded", () => {
    new MutationObserver(() => requestAnimationFrame(() => setTimeout(note)))
      .observe(document.querySelector("#name"), { childList: true });
  });
"""

_SAVED = """async () => {
  const { outbox } = (await import("/static/app.js")).settle;
  while (outbox.waiting) await outbox.last;
}"""
"""Waits until the server has all answers."""


@dataclass(frozen=True)
class Times:
    """Times of the same thing in milliseconds, in the order they were taken."""

    ms: tuple[float, ...]

    @property
    def median_ms(self) -> float:
        """Their median."""
        return statistics.median(self.ms)

    @property
    def slowest_ms(self) -> float:
        """The longest."""
        return max(self.ms)


@dataclass(frozen=True)
class Keys:
    """Keys that people pressed.

    Attributes:
        cards: that were settled, or found illegible.
        mean: keys and clicks for each.
        one_doubt_cards, one_doubt_mean: the same of the cards with a VIN and one character in doubt.
    """

    cards: int
    mean: float
    one_doubt_cards: int
    one_doubt_mean: float


def fill_queue(store: Store, folder: Path, cards: int, drawn: int) -> dict[str, str]:
    """Fill a new store with cards that wait, one character of each in doubt.

    Args:
        store: where to.
        folder: for the scans.
        cards: how many.
        drawn: so many of them, the first, have a scan; the others are only in the store.

    Returns:
        File name -> VIN of the drawn ones.
    """
    vins = {}
    for seed in range(drawn):
        card = draw_card(seed, layout="boxes", scan="grey", dpi=DPI)
        path = folder / f"card-{seed:05d}{card.ending}"
        path.write_bytes(card.data)
        reading, digest = doubtful(card, path, {seed % 17: 0.6}), hashlib.sha256(card.data).hexdigest()
        store.add(str(path), digest, len(card.data), [reading], [], MODEL, SETTINGS_TEXT)
        vins[path.name] = card.truth.vin or ""
    fill(store, cards - drawn)
    return vins


def opening_times(browser: Any, address: str, times: int) -> Times:
    """From asking for the page until the first card is on screen; the server has just been started."""
    with _window(browser, address) as context:
        found = []
        for _ in range(times):
            page = context.new_page()
            page.goto(address)
            page.wait_for_function("() => painted.opened !== null", timeout=TIMEOUT_MS)
            found.append(page.evaluate("painted.opened"))
            page.close()
    return Times(tuple(found))


def next_card_times(browser: Any, address: str, vins: dict[str, str], cards: int, pause_ms: int) -> Times:
    """From Enter until the next card is on screen, a person taking so long for each.

    Args:
        browser: of Playwright.
        address: of the desk.
        vins: what is written on the cards, by the names of their files.
        cards: how many are settled.
        pause_ms: from a card's appearance to the first key; without one, pictures cannot be fetched beforehand.
    """
    with _window(browser, address) as context:
        page = context.new_page()
        page.goto(address)
        page.wait_for_function("() => painted.opened !== null", timeout=TIMEOUT_MS)
        for done in range(1, cards + 1):
            page.wait_for_timeout(pause_ms)
            vin = vins[page.inner_text("#name").removesuffix(", page 1")]
            for place in page.evaluate(
                "[...document.querySelectorAll('.column')].flatMap((box, at) => box.matches('.empty') ? [at] : [])"
            ):
                page.keyboard.press(vin[place])
            page.keyboard.press("Enter")
            if page.get_attribute("#check", "data-state") == "invalid":
                page.keyboard.press("Enter")
            page.wait_for_function("done => painted.next.length >= done", arg=done, timeout=TIMEOUT_MS)
        page.evaluate(_SAVED)
        return Times(tuple(page.evaluate("painted.next")))


def pressed_keys(browser: Any, folder: Path, cards: int, say: Callable[[str], None]) -> Keys:
    """What settling an archive takes: drawn cards, read by the released model, typed by hands that make no mistakes."""
    list(write_cards(folder, cards, seed=6, negatives=0.1))
    lines = (folder / TRUTH_FILE).read_text(encoding="utf-8").splitlines()
    truths = {each["file"]: each["vin"] for each in map(json.loads, lines)}
    say(f"{cards} cards drawn; they are read and settled")
    with command([str(folder), "--audit-share", "0"]) as address:
        open_at_first = settle_archive(browser, address, truths)
    with Store.opened(folder / ".vinscribe" / "cards.db") as store:
        keys = keystrokes(store, cards)
    one = [keys[file] for file, count in open_at_first.items() if count == 1 and truths[file]]
    if not one:
        raise SystemExit("no card had one character in doubt; draw more cards")
    return Keys(len(keys), statistics.mean(keys.values()), len(one), statistics.mean(one))


@contextlib.contextmanager
def _window(browser: Any, address: str) -> Iterator[Any]:
    """A browser of its own, in which somebody sits at the desk; its pages take times."""
    context = browser.new_context(viewport=VIEWPORT)
    context.set_default_timeout(TIMEOUT_MS)
    context.add_init_script(_WATCH)
    name = f"vinscribe_desk_{urlsplit(address).port}"
    context.add_cookies([{"name": name, "value": "Ann", "url": address}])
    try:
        yield context
    finally:
        context.close()
