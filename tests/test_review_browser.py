"""Settling cards in a real browser: typing, mistyping, undoing, looking closer."""

import pytest

pytest.importorskip("fastapi", reason="needs the extra [review]")
pytest.importorskip("playwright", reason="needs playwright")

import browsers
from browsers import DRAWING, Office
from made_desk import filed

office = browsers.office


def test_doubtful_characters_are_open_and_the_others_are_there(office: Office) -> None:
    vin = office.file(1, 4, 9)
    ann = office.desks.desk()
    ann.wait_for_card()
    assert ann.open == [4, 9]
    assert ann.chars == [char if place not in (4, 9) else "" for place, char in enumerate(vin)]
    choices = ann.page.locator(".column.open").first.locator(".choice").all_inner_texts()
    assert choices == sorted({vin[4], "8"})  # in no order that could lead to the reader's guess
    assert ann.page.locator(".column:not(.open) .choice").count() == 0
    ann.press("Enter", vin[4], "Enter")
    assert "1 character is still open" in ann.notice
    assert office.store.counts().settled == 0
    assert ann.page.get_attribute("#check", "data-state") == "waiting"


def test_a_card_is_settled_by_the_open_characters_and_enter(office: Office) -> None:
    vins = [office.file(seed, 6) for seed in (1, 2, 3)]
    ann = office.desks.desk()
    ann.wait_for_card()
    for vin in vins:
        assert office.vin(ann) == vin
        ann.press(vin[6].lower())
        assert "".join(ann.chars) == vin
        ann.settle(vin)
    assert ann.idle
    assert [each.vin for each in office.store.results()] == vins
    assert [office.store.history(number)[0].keystrokes for number in (1, 2, 3)] == [2, 2, 2]
    assert all(0 < office.store.history(number)[0].seconds < 30 for number in (1, 2, 3))


def test_the_next_card_is_on_screen_at_once(office: Office) -> None:
    vins = [office.file(seed, 6) for seed in range(1, 9)]
    ann = office.desks.desk()
    ann.wait_for_card()
    ann.wait_until_saved()
    asked: list[str] = []
    ann.page.on("request", lambda request: asked.append(request.url))
    for following, vin in enumerate(vins[:-1], 2):
        ann.page.evaluate("async () => (await import('/static/app.js')).settle.following.ready()")  # a person's pause
        asked.clear()
        ann.settle(vin)
        assert ann.file == f"card-{following}.png"
        assert not any(f"/api/cards/{following}/strip" in url for url in asked), "its picture was not there beforehand"
    # How long that takes is measured by benchmarks/review_desk.py.
    assert ann.page.evaluate("performance.getEntriesByName('next-card').length") == 7


def test_a_vin_without_a_known_model_is_marked_and_counts(office: Office) -> None:
    office.file(1, 6)
    ann = office.desks.desk()
    ann.wait_for_card()
    ann.press("Escape")
    ann.page.wait_for_selector("#card.bare #whole img")
    ann.press(*"1HGCM82633A004352")
    assert ann.page.get_attribute("#check", "data-state") == "valid"
    ann.press("Home", *["ArrowRight"] * 3, "X", "X")
    ann.page.wait_for_function("() => document.querySelector('#model').textContent.startsWith('No such model')")
    ann.press("Home", *["ArrowRight"] * 3, "C", "M")
    assert ann.page.inner_text("#model") == ""
    ann.press("Home", *["ArrowRight"] * 3, "X", "X", "Enter", "Enter")  # the second Enter is for the check digit
    ann.wait_until_saved()
    assert office.answers(1) == [("Ann", "settle", "1HGXX82633A004352")]
    ann.page.wait_for_function("() => document.querySelector('#notice').textContent.includes('no such model')")


def test_mistyping(office: Office) -> None:
    vin = office.file(1, 2, 3)
    ann = office.desks.desk()
    ann.wait_for_card()
    ann.press("o")
    assert ann.chars[2] == "0"
    assert "no O" in ann.notice
    ann.press("Backspace", "q", "Backspace", "i")
    assert ann.chars[2:4] == ["1", ""]
    ann.press("_", "&")
    assert ann.chars[2:4] == ["1", ""]
    ann.press("Backspace", vin[2], vin[3], "X", "X")  # the last two are too many
    assert "".join(ann.chars) == vin
    ann.press("ArrowLeft", "9", "Backspace", "ArrowUp", vin[3])
    ann.press("End", "Delete", vin[16], "Enter")
    ann.wait_until_saved()
    assert office.answers(1) == [("Ann", "settle", vin)]


def test_a_key_held_down_writes_once(office: Office) -> None:
    office.file(1, 2, 3)
    ann = office.desks.desk()
    ann.wait_for_card()
    for _ in range(3):
        ann.page.keyboard.down("5")
    assert ann.chars[2:4] == ["5", ""]


def test_the_check_digit_answers_live(office: Office) -> None:
    seed = next(seed for seed in range(1, 50) if office.file(seed, 16)[0] in "12345")
    ann = office.desks.desk()
    ann.wait_for_card()
    for _ in range(seed - 1):
        before = ann.file
        ann.press("-")
        ann.wait_for_change(before)
    vin = office.vin(ann)
    ann.press(vin[16])
    assert ann.page.get_attribute("#check", "data-state") == "valid"
    wrong = "1" if vin[16] != "1" else "2"
    ann.press("End", wrong)
    assert ann.page.get_attribute("#check", "data-state") == "invalid"
    ann.press("Enter")
    assert "Look once more" in ann.notice
    assert office.store.counts().settled == 0
    ann.press("Enter")
    ann.wait_until_saved()
    assert office.answers(seed) == [("Ann", "settle", vin[:16] + wrong)]


def test_undo_skip_and_illegible(office: Office) -> None:
    vins = {seed: office.file(seed, 6) for seed in (1, 2, 3)}
    ann = office.desks.desk()
    first = ann.wait_for_card()
    ann.press("-")
    ann.wait_for_change(first)
    second = ann.file
    wrong = "1" if vins[2][6] != "1" else "7"
    ann.press(wrong, "Enter", "Enter")  # the second Enter is for a check digit that does not fit now, if it has to
    ann.wait_for_change(second)
    third = ann.file
    assert len({first, second, third}) == 3
    ann.press("Control+z")
    ann.wait_for_change(third)
    assert ann.file == second
    assert ann.chars[6] == wrong
    ann.press(vins[2][6], "Enter")
    ann.wait_for_change(second)
    assert ann.file == third
    ann.press("F8")
    ann.wait_for_change(third)
    assert ann.file == first
    ann.settle(vins[1])
    assert ann.idle
    assert [kind for _, kind, _ in office.answers(2)] == ["settle", "undo", "settle"]
    assert office.store.card(2).answer == vins[2]
    assert office.store.card(3).state == "illegible"


def test_a_wrong_row_is_written_afresh(office: Office) -> None:
    office.file(1, 6)
    ann = office.desks.desk()
    ann.wait_for_card()
    ann.press("Escape")
    ann.page.wait_for_selector("#whole img")
    assert ann.chars == [""] * 17
    ann.press("Escape")
    ann.page.wait_for_selector("#strip img")
    assert sum(not char for char in ann.chars) == 1
    ann.press("Escape")
    ann.page.wait_for_selector("#whole img")
    ann.press(*"WAUSXJ249YY948644", "Enter")
    ann.wait_until_saved()
    assert office.answers(1) == [("Ann", "settle", "WAUSXJ249YY948644")]


def test_a_card_without_a_field_shows_the_whole_page(office: Office) -> None:
    office.file(1, layout="boxes", scan="clean", negative="no_field")
    ann = office.desks.desk()
    ann.wait_for_card()
    assert ann.open == list(range(17))
    assert ann.page.locator("#whole img").is_visible()
    width = ann.page.evaluate("document.querySelector('#whole .sheet').clientWidth")
    ann.press("Space")
    assert ann.page.evaluate("document.querySelector('#whole .sheet').clientWidth") > 2 * width
    ann.press("Space", ",")
    assert "rotate(90deg)" in (ann.page.get_attribute("#whole .sheet", "style") or "")
    ann.page.evaluate(
        "() => { const data = new DataTransfer(); data.setData('text', ' wau sxj249-YY948644');"
        " document.dispatchEvent(new ClipboardEvent('paste', {clipboardData: data})); }"
    )
    assert "".join(ann.chars) == "WAUSXJ249YY948644"
    ann.press("Enter")
    ann.wait_until_saved()
    assert office.store.card(1).answer == "WAUSXJ249YY948644"


def test_the_whole_card_and_zoom(office: Office) -> None:
    vin = office.file(1, 6)
    ann = office.desks.desk()
    ann.wait_for_card()
    width = ann.page.evaluate("document.querySelector('#strip img').clientWidth")
    ann.press("Space")
    assert ann.page.evaluate("document.querySelector('#strip img').clientWidth") > 1.5 * width
    ann.press(".")
    ann.page.wait_for_selector("#whole img")
    ann.press(vin[6])  # typing goes on
    assert "".join(ann.chars) == vin
    ann.press(".")
    ann.page.wait_for_selector("#whole", state="hidden")


def test_a_scan_that_is_gone_cannot_be_settled_blind(office: Office) -> None:
    vin = office.file(1, 6)
    (office.folder / "card-1.png").unlink()
    ann = office.desks.desk()
    ann.wait_for_card()
    ann.type_open(vin)
    ann.press("Enter")
    assert "cannot be settled" in ann.notice
    assert office.store.counts().settled == 0
    office.desks.problems[:] = [each for each in office.desks.problems if "404" not in each]


def test_where_the_row_itself_is_in_doubt_the_whole_card_is_there(office: Office) -> None:
    card = filed(office.store, office.folder, 1, {3: 0.01}, **DRAWING)
    ann = office.desks.desk()
    ann.wait_for_card()
    ann.page.wait_for_selector("#whole img")
    assert "Is this row the VIN?" in ann.page.inner_text("#how")
    assert ann.open == [3]
    ann.press((card.truth.vin or "")[3])
    assert ann.page.locator("#whole img").is_visible()


def test_a_pale_scan_is_shown_with_more_contrast(office: Office) -> None:
    office.file(1, 3, layout="boxes", scan="faint")
    office.file(2, 3, layout="boxes", scan="bitonal")
    ann = office.desks.desk()
    ann.wait_for_card()
    shown = "getComputedStyle(document.querySelector('#strip img')).filter"
    assert "contrast" in ann.page.evaluate(shown)
    ann.press("F8")
    ann.wait_for_change("card-1.jpg")
    assert ann.page.evaluate(shown) == "none"
