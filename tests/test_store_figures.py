"""The group check of the review desk's store, the audit, thresholds, and what goes out."""

import pytest

pytest.importorskip("sqlalchemy", reason="needs the extra [review]")

import opened_stores
from made_readings import made_hash, made_reading, made_vin
from opened_stores import WRONG, Opener, accepted, add, given, settle

from vinscribe.review.statistics import exact_interval

opened = opened_stores.opened


def test_the_group_check_goes_from_the_worst_to_the_best(opened: Opener) -> None:
    store = opened(audit_share=0)
    readings = [made_reading(page, confidence=0.1 * page, doubtful=4, decision="accept") for page in (3, 1, 2)]
    ids = add(store, readings)
    seen = store.group("M", 2)
    assert [(cell.card_id, cell.position, round(cell.confidence, 6)) for cell in seen] == [
        (ids[1], 4, 0.1),
        (ids[2], 4, 0.2),
    ]
    assert [cell.card_id for cell in store.group("M", 9, after=seen[-1])] == [ids[0]]
    assert store.group_counts()["M"] == 3
    store.check_group("anna", [(ids[1], 4)], [(ids[2], 4)])
    assert store.group_counts()["M"] == 1
    assert [store.card(number).state for number in ids] == ["accepted", "accepted", "open"]
    assert store.card(ids[2]).checked == {4: False}
    assert [(decision.kind, decision.char, decision.position) for decision in store.history(ids[2])] == [
        ("odd", "M", 4)
    ]
    assert settle(store, "anna") == ids[2]
    assert "M" in store.group_counts()
    store.check_group("anna", [], [(ids[2], 0)])  # a screen from before the card was settled
    assert store.card(ids[2]).state == "settled"
    assert store.card(ids[2]).checked[0] is True


def test_so_many_are_counted_and_no_more(opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vinscribe.review.groups.MOST_COUNTED", 3)
    store = opened()
    add(store, [made_reading(page, "1HGCM82633A004352") for page in (1, 2)])
    counts = store.group_counts()
    assert (counts["H"], counts["3"], "Z" in counts) == (2, 3, False)


def test_an_undone_group_cell_is_open_again_only_by_itself(opened: Opener) -> None:
    store = opened(audit_share=0)
    (number,) = add(store, accepted(1))
    store.check_group("anna", [], [(number, 4)])
    store.check_group("bert", [(number, 4)], [])
    assert store.card(number).checked == {4: True}
    assert store.card(number).state == "open"  # once in doubt, a person settles it


def test_accepted_cards_are_slipped_into_the_queue(opened: Opener) -> None:
    store = opened(audit_share=0.3)
    ids = add(store, accepted(200))
    counts = store.counts()
    assert 40 <= counts.open <= 80
    assert counts.accepted + counts.open == 200
    assert len(list(store.results())) == counts.accepted
    audited = [card.card_id for card in store.queue(200)]
    assert all(store.card(number).audit for number in audited)
    add(store, accepted(200), model="m2")  # read once more: the same ones
    assert [card.card_id for card in store.queue(200)] == audited
    for wrong in (True, False, False, True, False):
        settle(store, "anna", WRONG if wrong else None)
    number, lease = given(store.next("anna", "s"))
    store.illegible(number, "anna", lease)
    audit = store.audit()
    assert (audit.checked, audit.wrong) == (6, 3)
    assert audit.low < 0.5 < audit.high
    assert len(ids) == 200


def test_odd_cells_do_not_count_as_an_audit(opened: Opener) -> None:
    store = opened(audit_share=0)
    (number,) = add(store, accepted(1))
    store.check_group("anna", [], [(number, 16)])
    settle(store, "anna", WRONG)
    assert store.audit().checked == 0


@pytest.mark.parametrize(
    ("hits", "trials", "low", "high"),
    [
        (0, 20, 0.0, 0.168433),
        (1, 10, 0.002529, 0.445016),
        (5, 50, 0.033275, 0.218135),
        (20, 20, 0.831567, 1.0),
        (0, 0, 0.0, 1.0),
        (3, 10_000, 0.0000619, 0.000876),
    ],
)
def test_exact_interval(hits: int, trials: int, low: float, high: float) -> None:
    assert exact_interval(hits, trials) == pytest.approx((low, high), abs=2e-6)


def test_thresholds_say_what_they_would_have_meant(opened: Opener) -> None:
    store = opened(audit_share=0)
    readings = [made_reading(page, confidence=page / 10) for page in range(1, 10)]
    add(store, [*readings, made_reading(10, decision="no_field")])
    for page in range(1, 7):
        settle(store, "anna", WRONG if page in (2, 5) else None)
    found = store.thresholds([0.15, 0.5, 1.0])
    assert [(step.people, step.known, step.wrong) for step in found] == [(2, 5, 2), (5, 2, 1), (10, 0, 0)]


def test_results_come_with_where_they_are_from(opened: Opener) -> None:
    store = opened(audit_share=0)
    first, second, third, _ = add(store, [*accepted(1), made_reading(2), made_reading(3), made_reading(4)])
    settle(store, "anna", WRONG)
    number, lease = given(store.next("bert", "s"))
    store.illegible(number, "bert", lease)
    assert number == third
    one, two = store.results()
    assert (one.card_id, one.vin, one.source, one.who, one.when) == (first, made_vin(1), "accepted", None, None)
    assert (two.card_id, two.vin, two.source, two.who) == (second, WRONG, "settled", "anna")
    assert (two.file, two.sha256, two.page, two.raw, two.model_hash) == (
        "scans/1.tif",
        made_hash(1),
        2,
        made_vin(2),
        "m",
    )
    assert two.when is not None
    assert two.when.endswith("+00:00")
    assert [result.vin for result in store.results(states=["illegible"])] == [None]
    assert [result.card_id for result in store.results(after_id=first)] == [second]
    assert [result.card_id for result in store.results(limit=1)] == [first]
    assert list(store.results(limit=0)) == []
    (correction,) = store.corrections()
    assert (correction.card_id, correction.vin, correction.reading["vin"]) == (second, WRONG, made_vin(2))


def test_many_results_come_in_pieces(opened: Opener) -> None:
    store = opened(audit_share=0)
    ids = add(store, accepted(1203))
    assert [result.card_id for result in store.results()] == ids
    assert [result.card_id for result in store.results(after_id=ids[100], limit=700)] == ids[101:801]
