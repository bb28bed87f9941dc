"""People at review desks, for tests: Chromium windows, and hands that type."""

import contextlib
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from made_desk import client_of, filed, made_desk, served
from playwright.sync_api import Browser, BrowserContext, Page, Response, sync_playwright

from vinscribe.review import desk as desk_of_server
from vinscribe.review.store import Store
from vinscribe.training.cards import Card
from vinscribe.vin import VIN_LENGTH

DRAWING = {"layout": "boxes", "scan": "clean"}

MANY = 2  # wrong characters: typing all 17 is quicker than going to each

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

_FLAGS = (
    *("--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


@contextlib.contextmanager
def launched() -> Iterator[Browser]:
    """A headless Chromium; the test is skipped where there is none."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    with sync_playwright() as playwright:
        # Its sandbox refuses root, which tests in containers mostly run as; the pages are our own.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*_FLAGS], chromium_sandbox=False)
        yield browser
        browser.close()


class Desks:
    """Windows at one server; each desk has cookies of its own. Whatever goes wrong in a page is kept in `problems`."""

    def __init__(self, browser: Browser, address: str) -> None:
        self.address = address
        self.problems: list[str] = []
        self._browser = browser
        self._contexts: list[BrowserContext] = []

    def desk(self, name: str = "Ann", **window: object) -> "Desk":
        """Somebody sits down at a new desk; ``window``: options of a browser context."""
        context = self._browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **window})
        context.set_default_timeout(60_000)
        self._contexts.append(context)
        desk = Desk(self.tab(context), self)
        desk.page.goto(self.address)
        desk.name(name)
        return desk

    def tab(self, context: BrowserContext) -> Page:
        page = context.new_page()
        page.on("console", lambda said: said.type == "error" and self.problems.append(said.text))
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("request", lambda request: self._look(request.url))
        return page

    def close(self) -> None:
        for context in self._contexts:
            context.close()

    def _look(self, url: str) -> None:
        if urlsplit(url).scheme != "blob" and not url.startswith(self.address):
            self.problems.append(f"something from elsewhere was asked for: {url}")


class Desk:
    """One person in front of the page."""

    def __init__(self, page: Page, desks: Desks) -> None:
        self.page = page
        self.desks = desks
        self._answers: list[Response] = []
        page.on("response", lambda answer: self._answers.append(answer))

    def another_tab(self) -> "Desk":
        tab = Desk(self.desks.tab(self.page.context), self.desks)
        tab.page.goto(self.desks.address)
        return tab

    def received(self) -> list[str]:
        """What the server has told this window, but for pictures."""
        texts = [each.text() for each in self._answers if "json" in each.headers.get("content-type", "")]
        assert texts
        return texts

    def name(self, name: str) -> None:
        self.page.fill("#deskname", name)
        self.page.press("#deskname", "Enter")
        self.page.wait_for_selector("#deskdialog", state="hidden")

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def wait_for_card(self, but: str | None = None) -> str:
        """Waits until a card is on screen, another than ``but``; its file name."""
        self.page.wait_for_function(
            "but => !document.querySelector('#card').hidden && document.querySelector('#name').textContent"
            " && document.querySelector('#name').textContent !== but",
            arg=but and f"{but}, page 1",
        )
        return self.file

    def wait_until_saved(self) -> None:
        """Waits until the server has all answers, and the next card is fetched."""
        self.page.evaluate(
            "async () => { const { outbox } = (await import('/static/app.js')).settle;"
            " while (outbox.waiting) await outbox.last; }"
        )

    @property
    def file(self) -> str:
        return self.page.inner_text("#name").removesuffix(", page 1")

    @property
    def chars(self) -> list[str]:
        return [text.strip() for text in self.page.locator(".slot").all_inner_texts()]

    @property
    def open(self) -> list[int]:
        """The positions that are left open, or were."""
        return self.page.evaluate(
            "[...document.querySelectorAll('.column')].flatMap((box, at) => box.matches('.open') ? [at] : [])"
        )

    @property
    def idle(self) -> bool:
        return self.page.locator("#idle").is_visible()

    @property
    def notice(self) -> str:
        return self.page.inner_text("#notice") if self.page.locator("#notice").is_visible() else ""

    def type_open(self, vin: str) -> None:
        """Types what is open, and goes by the arrow keys to what was read wrong though it was not in doubt.

        Where that is much, as when another row of the card was read, all 17 are typed from the whole card.
        """
        wrong = [place for place, char in enumerate(self.chars) if char not in ("", vin[place])]
        if len(wrong) > MANY:
            self.press("Escape")
            self.page.wait_for_selector("#card.bare #whole img")
            wrong = []
        shown = self.chars
        self.press(*(vin[place] for place in range(VIN_LENGTH) if not shown[place]))
        for place in wrong:
            self.press("Home", *["ArrowRight"] * place, vin[place])

    def settle(self, vin: str) -> None:
        """Settles the card on screen and waits for the next, or for the end."""
        before = self.file
        self.type_open(vin)
        self.press("Enter")
        if "check digit" in self.notice:
            self.press("Enter")
        self.wait_for_change(before)

    def refuse(self) -> None:
        """Marks the card on screen as illegible and waits for the next, or for the end."""
        before = self.file
        self.press("F8")
        self.wait_for_change(before)

    def wait_for_change(self, before: str) -> None:
        self.page.wait_for_function(
            "before => !document.querySelector('#idle').hidden"
            " || document.querySelector('#name').textContent !== before",
            arg=f"{before}, page 1",
        )
        self.wait_until_saved()

    def view(self, name: str) -> None:
        self.page.click(f"nav a[data-view={name}]")

    def downloaded(self, link: str, folder: Path) -> Path:
        with self.page.expect_download() as download:
            self.page.click(f"a[href='{link}']")
        path = folder / download.value.suggested_filename
        download.value.save_as(path)
        return path


def settle_archive(browser: Browser, address: str, truths: Mapping[str, str | None]) -> dict[str, int]:
    """Settles all that a desk reads and doubts; file -> how many characters were left open."""
    desks = Desks(browser, address)
    open_at_first: dict[str, int] = {}
    ann = desks.desk()
    ann.wait_for_card()  # while others are still being read
    with client_of(address) as client:
        while not (ann.idle and _is_done(client.get("/api/state").json())):
            if ann.idle:
                time.sleep(0.1)
                continue
            file = ann.file
            vin = truths[file]
            open_at_first[file] = len(ann.open)
            ann.settle(vin) if vin else ann.refuse()
    desks.close()
    assert desks.problems == []
    return open_at_first


def keystrokes(store: Store, cards: int) -> dict[str, int]:
    """File -> keys and clicks that its card's answer took, of the first so many cards."""
    answers = [decision for number in range(1, cards + 1) for decision in store.history(number)]
    return {Path(store.card(each.card_id).scan_path).name: each.keystrokes or 0 for each in answers}


def _is_done(state: dict[str, dict[str, object]]) -> bool:
    return not state["reading"]["running"] and not state["counts"]["open"]


class Office:
    """A served desk with its cards: file name -> drawn card."""

    def __init__(self, server: desk_of_server.Desk, folder: Path, desks: Desks) -> None:
        self.store, self.folder, self.desks = server.store, folder, desks
        self.cards: dict[str, Card] = {}

    def file(self, seed: int, *doubtful: int, **drawing: str) -> str:
        """Files a card with these positions in doubt, accepted without any; its VIN, or "" if it has none."""
        card = filed(self.store, self.folder, seed, dict.fromkeys(doubtful, 0.6), **(drawing or DRAWING))
        self.cards[f"card-{seed}{card.ending}"] = card
        return card.truth.vin or ""

    def vin(self, desk: Desk) -> str:
        """What is written on the card that this desk sees."""
        return self.cards[desk.file].truth.vin or ""

    def answers(self, number: int) -> list[tuple[str, str, str | None]]:
        return [(each.who, each.kind, each.vin) for each in self.store.history(number)]


@pytest.fixture
def office(request: pytest.FixtureRequest, browser: Browser, tmp_path: Path) -> Iterator[Office]:
    """An office; a test gives shares of double keying and audits as the fixture's parameter."""
    server = made_desk(tmp_path, **{"audit_share": 0.0, **getattr(request, "param", {})})
    with served(server) as address:
        desks = Desks(browser, address)
        try:
            yield Office(server, tmp_path, desks)
        finally:
            desks.close()
    assert desks.problems == []
