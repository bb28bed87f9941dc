"""The review desk in a real browser: groups, results, tablets, dark screens, and what scripts share with Python."""

import csv
import json
import time
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="needs the extra [review]")
pytest.importorskip("playwright", reason="needs playwright")

import browsers
import numpy as np
from browsers import Desk, Office

from vinscribe.charset import CHARSET
from vinscribe.training.cards import make_vin
from vinscribe.vin import check_digit, describe, has_valid_check_digit

office = browsers.office


def test_the_group_check(office: Office) -> None:
    vins = [office.file(seed) for seed in (1, 2, 3)]  # accepted all
    char = max(vins[0], key=lambda char: sum(vin.count(char) for vin in vins))
    count = sum(vin.count(char) for vin in vins)
    ann = office.desks.desk()
    ann.view("groups")
    ann.page.wait_for_selector(".chars button")
    assert ann.page.locator(f".chars button[aria-label^='{char}:'] small").inner_text() == str(count)
    ann.press(char)
    ann.page.wait_for_selector(".grid button")
    assert ann.page.locator(".grid button").count() == count
    ann.page.wait_for_function("() => [...document.querySelectorAll('.grid img')].every((image) => image.naturalWidth)")
    ann.press("ArrowRight")
    ann.page.wait_for_selector(".context img")
    assert ann.page.locator(".grid button[aria-pressed=true]").count() == 0
    tile = ann.page.locator(f".grid button[aria-label='Read as {char}, card 1, character {vins[0].index(char) + 1}']")
    tile.click()
    assert tile.get_attribute("aria-pressed") == "true"
    ann.page.wait_for_selector(".context img")
    ann.page.wait_for_selector(f".foot button:has-text('confirm the other {count - 1}')")
    ann.press("Enter")
    ann.page.wait_for_selector(".chars button")
    assert char not in office.store.group_counts()
    assert office.store.card(1).state == "open"
    ann.view("settle")
    ann.wait_for_card()
    assert ann.open == [vins[0].index(char)]


def test_no_cell_is_confirmed_unseen(office: Office) -> None:
    vins = [office.file(seed) for seed in range(1, 25)]
    char = max("0123456789", key=lambda char: sum(vin.count(char) for vin in vins))
    ann = office.desks.desk(viewport={"width": 600, "height": 420})
    ann.view("groups")
    ann.page.wait_for_selector(".chars button")
    ann.press(char)
    ann.page.wait_for_selector(".grid button")
    ann.page.wait_for_function("() => [...document.querySelectorAll('.grid img')].every((image) => image.naturalWidth)")
    ann.press("Enter")
    time.sleep(0.3)
    assert office.store.group_counts()[char] > 20
    end = time.monotonic() + 30  # a busy machine scrolls slowly
    while char in office.store.group_counts() and time.monotonic() < end:
        ann.press("Enter")
        time.sleep(0.2)
    assert char not in office.store.group_counts()


@pytest.mark.parametrize("office", [{"audit_share": 1.0}], indirect=True)
def test_results_say_how_often_automatic_acceptance_was_wrong(office: Office, tmp_path: Path) -> None:
    vins = [office.file(seed) for seed in (1, 2, 3)]  # accepted, and slipped into the queue
    ann = office.desks.desk()
    ann.wait_for_card()
    assert len(ann.open) == 1
    for vin in vins:
        ann.settle(vin)
    ann.view("results")
    ann.page.wait_for_selector("#results table")
    text = ann.page.inner_text("#results")
    assert "0 of 3 accepted cards" in text
    assert "between 0 % and 70.76 %" in text  # 1 - 0.025 ** (1 / 3)
    ann.page.locator("#results input[type=range]").fill("0")
    assert "0 cards would need a person. Of those accepted, 3 were settled by people, who read 0 of them" in (
        ann.page.inner_text("#results")
    )
    assert all(vin in text for vin in vins)
    with open(ann.downloaded("/api/export.csv", tmp_path), newline="", encoding="utf-8") as file:
        assert [row["vin"] for row in csv.DictReader(file)] == vins
    lines = ann.downloaded("/api/export.jsonl", tmp_path).read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["who"] for line in lines] == ["Ann"] * 3
    assert ann.downloaded("/api/export.xlsx", tmp_path).read_bytes()[:2] == b"PK"
    assert ann.downloaded("/api/corrections.zip", tmp_path).read_bytes()[:2] == b"PK"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_tablet_without_a_keyboard(office: Office, scheme: str) -> None:
    vin = office.file(1, 2, 3)
    ann = office.desks.desk(
        viewport={"width": 820, "height": 1180}, color_scheme=scheme, has_touch=True, is_mobile=True
    )
    ann.wait_for_card()
    choice = ann.page.locator(".column.open").first.locator(".choice", has_text=vin[2])
    choice.tap()
    ann.page.locator("#pad button", has_text=vin[3]).first.tap()
    assert "".join(ann.chars) == vin
    ann.page.locator("#commands .do-settle").tap()
    ann.wait_until_saved()
    assert office.answers(1) == [("Ann", "settle", vin)]
    for view in ("settle", "groups", "results"):
        ann.view(view)
        assert ann.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), view
    assert worst_contrast(ann) >= 4.5  # WCAG 2.2, 1.4.3


def worst_contrast(desk: Desk) -> float:
    """The least contrast of the colours that texts have on the grounds they stand on."""
    return desk.page.evaluate("""() => {
      const style = getComputedStyle(document.documentElement);
      const linear = (part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
      const light = (name) => {
        const hexes = style.getPropertyValue(name).trim().match(/[0-9a-f]{2}/gi);
        const parts = hexes.map((hex) => linear(parseInt(hex, 16) / 255));
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
      };
      const pairs = [["--ink", "--paper"], ["--ink", "--sheet"], ["--calm", "--paper"], ["--calm", "--sheet"],
        ["--on-accent", "--accent"], ["--ink", "--open-ground"], ["--good", "--paper"], ["--bad", "--paper"],
        ["--accent", "--sheet"], ["--sheet", "--bad"]];
      return Math.min(...pairs.map(([a, b]) => {
        const [dark, bright] = [light(a), light(b)].sort((x, y) => x - y);
        return (bright + 0.05) / (dark + 0.05);
      }));
    }""")


def test_a_desk_needs_a_name(office: Office) -> None:
    ann = office.desks.desk()
    ann.page.click("#desk")
    ann.page.fill("#deskname", "  ")
    ann.page.press("#deskname", "Enter")
    assert ann.page.inner_text("#deskproblem") == "Please write a name."
    ann.page.fill("#deskname", "n" * 50)
    assert ann.page.input_value("#deskname") == "n" * 40
    ann.name("Bob")
    ann.page.wait_for_selector("#desk:has-text('Bob')")


def test_everything_has_a_name_and_focus_goes_with_the_cursor(office: Office) -> None:
    vin = office.file(1, 2, 3)
    office.file(2)
    ann = office.desks.desk()
    ann.wait_for_card()
    focused = "document.activeElement.getAttribute('aria-label')"
    assert ann.page.evaluate(focused).startswith("Character 3: open, likely")
    ann.press(vin[2])
    assert ann.page.evaluate(focused).startswith("Character 4: open")
    nameless = """[...document.querySelectorAll('button, a, input, img')].filter((each) => each.checkVisibility())
      .filter((each) => !(each.ariaLabel || each.alt || each.textContent.trim() || each.labels?.length))
      .filter((each) => !each.closest('[aria-label]')).map((each) => each.outerHTML)"""
    for view in ("settle", "groups", "results"):
        ann.view(view)
        ann.page.wait_for_selector(f"#{view}:not([hidden])")
        assert ann.page.evaluate(nameless) == []
    ann.press("?")
    assert ann.page.locator("#keysdialog").is_visible()


def test_the_page_knows_the_same_of_vins_as_python(office: Office) -> None:
    ann = office.desks.desk()
    rng = np.random.default_rng(0)
    vins = [make_vin(rng) for _ in range(300)]
    vins += ["".join(rng.choice(list(CHARSET), 17)) for _ in range(300)]
    vins += [first + second + vins[0][2:] for first in CHARSET for second in CHARSET]
    digits, applies, states = ann.page.evaluate(
        """async (vins) => {
          const { checkDigit, checkDigitApplies, checkState } = await import("/static/vin.js");
          return [checkDigit, checkDigitApplies, checkState].map((of) => vins.map(of));
        }""",
        vins,
    )
    required = [describe(vin).check_digit_required for vin in vins]
    assert digits == [check_digit(vin) for vin in vins]
    assert applies == required
    assert states == [
        "valid" if has_valid_check_digit(vin) else "invalid" if needed else "none"
        for vin, needed in zip(vins, required, strict=True)
    ]
