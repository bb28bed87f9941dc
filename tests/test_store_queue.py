"""The queue of the review desk's store: who gets which card, and what comes of the answers."""

import threading

import pytest

pytest.importorskip("sqlalchemy", reason="needs the extra [review]")

import opened_stores
from made_readings import made_vin
from opened_stores import WRONG, Opener, add, doubtful, given, settle

from vinscribe.errors import StoreError
from vinscribe.review.records import now
from vinscribe.review.store import LeaseLost, NoSuchCard

opened = opened_stores.opened


def test_desks_get_different_cards_and_keep_them(opened: Opener) -> None:
    store = opened()
    ids = add(store, doubtful(5))
    anna, lease = given(store.next("anna", "desk 1"))
    assert anna == ids[0]
    assert given(store.next("anna", "desk 1")) == (anna, lease)  # a reload
    following, _ = given(store.peek("anna", "desk 1", anna))
    assert following == ids[1]
    assert given(store.next("bert", "desk 2"))[0] == ids[2]
    assert given(store.next("anna", "desk 3"))[0] == ids[3]  # the same person at another desk
    assert store.counts().leased == 4
    assert [(card.card_id, card.leased) for card in store.queue(9)] == [
        *((number, True) for number in ids[:4]),
        (ids[4], False),
    ]
    store.settle(anna, made_vin(1), "anna", lease)
    assert given(store.next("anna", "desk 1"))[0] == following
    assert [card.card_id for card in store.queue(2, after=ids[1])] == ids[2:4]


def test_skipped_cards_come_last(opened: Opener) -> None:
    store = opened()
    ids = add(store, doubtful(3))
    number, lease = given(store.next("anna", "s"))
    store.release(number, "anna", lease)
    for expected in ids[1:]:
        number, lease = given(store.next("anna", "s", skip=[ids[0]]))
        assert number == expected
        store.settle(number, WRONG, "anna", lease)
    assert given(store.next("anna", "s", skip=[ids[0]]))[0] == ids[0]
    assert store.peek("anna", "s", ids[0]) is None


def test_a_lease_ends_and_the_card_goes_to_another(opened: Opener) -> None:
    store = opened(lease_seconds=-1.0)
    (number,) = add(store, doubtful(1))
    _, lost = given(store.next("anna", "s"))
    assert store.counts().leased == 0
    longer = opened()
    assert longer.touch(number, "anna", lost) > now()
    assert longer.next("bert", "t") is None
    store.touch(number, "anna", lost)
    _, lease = given(longer.next("bert", "t"))
    with pytest.raises(LeaseLost, match="not on the desk of 'anna'"):
        longer.settle(number, WRONG, "anna", lost)
    with pytest.raises(LeaseLost):
        longer.touch(number, "anna", lost)
    longer.release(number, "anna", lost)  # not hers any more
    assert longer.settle(number, WRONG, "bert", lease).state == "settled"


def test_a_lease_that_ran_out_counts_while_nobody_else_has_the_card(opened: Opener) -> None:
    store = opened(lease_seconds=-1.0)
    add(store, doubtful(1))
    number, lease = given(store.next("anna", "s"))
    assert store.settle(number, WRONG, "anna", lease).state == "settled"


def test_the_same_answer_twice_is_one(opened: Opener) -> None:
    store = opened()
    add(store, doubtful(1))
    number, lease = given(store.next("anna", "s"))
    for _ in range(2):
        assert store.settle(number, WRONG, "anna", lease, 3, 2.5).state == "settled"
    with pytest.raises(LeaseLost, match="settled already"):
        store.settle(number, made_vin(1), "anna", lease)
    (decision,) = store.history(number)
    assert (decision.who, decision.session, decision.kind, decision.vin) == ("anna", "s", "settle", WRONG)
    assert (decision.keystrokes, decision.seconds) == (3, 2.5)


def test_illegible_and_undo(opened: Opener) -> None:
    store = opened()
    ids = add(store, doubtful(2))
    number, lease = given(store.next("anna", "s"))
    assert store.illegible(number, "anna", lease).state == "illegible"
    assert set(store.card(number).checked.values()) == {False}
    assert settle(store, "anna") == ids[1]
    assert store.undo("bert", "t") is None
    for expected in reversed(ids):
        card = store.undo("anna", "s")
        assert given(card)[0] == expected
        assert card is not None
        assert (card.state, card.answer, card.checked) == ("open", None, {})
    assert store.undo("anna", "s") is None
    assert [decision.kind for decision in store.history(ids[0])] == ["illegible", "undo"]
    assert store.counts().open == 2
    assert settle(store, "anna", WRONG) in ids


def test_undo_leaves_what_the_group_check_said(opened: Opener) -> None:
    store = opened()
    (number,) = add(store, doubtful(1))
    store.check_group("bert", [(number, 0)], [(number, 1)])
    settle(store, "anna", WRONG)
    assert store.card(number).checked[1] is True  # she confirmed it: 1 H …
    assert store.card(number).checked[16] is False
    store.undo("anna", "s")
    assert store.card(number).checked == {0: True, 1: False}


def test_two_people_must_agree(opened: Opener) -> None:
    store = opened(double_share=1)
    ids = add(store, doubtful(2))
    assert settle(store, "anna", WRONG) == ids[0]
    assert store.card(ids[0]).state == "open"
    assert settle(store, "anna") == ids[1]
    assert store.next("anna", "s") is None  # she answered both
    assert store.next("anna", "another desk") is None
    assert settle(store, "bert", WRONG) == ids[0]
    assert (store.card(ids[0]).state, store.card(ids[0]).answer) == ("settled", WRONG)
    assert settle(store, "bert", WRONG) == ids[1]
    assert store.card(ids[1]).state == "open"
    assert store.next("bert", "s") is None
    assert settle(store, "carl") == ids[1]
    assert store.card(ids[1]).answer == made_vin(2)
    assert [(result.source, result.who) for result in store.results()] == [
        ("double", "anna, bert"),
        ("double", "anna, carl"),
    ]


def test_undo_of_one_of_two_leaves_the_other(opened: Opener) -> None:
    store = opened(double_share=1)
    (number,) = add(store, doubtful(1))
    settle(store, "anna", WRONG)
    settle(store, "bert", WRONG)
    _, lease = given(store.undo("anna", "s"))
    assert store.card(number).state == "open"
    assert store.next("bert", "s") is None  # his answer still counts
    assert store.settle(number, made_vin(1), "anna", lease).state == "open"
    assert settle(store, "carl") == number
    assert store.card(number).answer == made_vin(1)


def test_undo_waits_for_another_desk(opened: Opener) -> None:
    store = opened(double_share=1)
    (number,) = add(store, doubtful(1))
    settle(store, "anna")
    given(store.next("bert", "t"))
    with pytest.raises(LeaseLost, match="another desk"):
        store.undo("anna", "s")
    assert [decision.kind for decision in store.history(number)] == ["settle"]


def test_nobody_answers_a_card_twice(opened: Opener) -> None:
    store = opened(double_share=1)
    (number,) = add(store, doubtful(1))
    _, lease = given(store.next("anna", "s"))
    store.settle(number, WRONG, "anna", lease)
    with pytest.raises(LeaseLost):
        store.settle(number, made_vin(1), "anna", lease)
    assert store.card(number).state == "open"


@pytest.mark.parametrize(
    ("vin", "why"),
    [
        ("1HGCM82633A00435", "16 characters"),
        ("1HGCM82633A00435O", "no VIN has O"),
        ("1hgcm82633a004352", "no VIN has a, c"),
        ("", "0 characters"),
        ("1HGCM82633A0\ud8004352", "no VIN has"),
    ],
)
def test_no_vin_is_refused(opened: Opener, vin: str, why: str) -> None:
    store = opened()
    add(store, doubtful(1))
    number, lease = given(store.next("anna", "s"))
    with pytest.raises(StoreError, match=why):
        store.settle(number, vin, "anna", lease)
    assert store.card(number).state == "open"


def test_nonsense_is_refused(opened: Opener) -> None:
    store = opened()
    (number,) = add(store, doubtful(1))
    for name in ("", "  ", "a\nb", "\ud800", "x" * 101):
        with pytest.raises(StoreError, match="is no name"):
            store.next(name, "s")
    _, lease = given(store.next("anna", "s"))
    for keystrokes, seconds in ((-1, 0.0), (0, -1.0), (0, float("nan")), (0, float("inf"))):
        with pytest.raises(StoreError, match="can't be"):
            store.settle(number, WRONG, "anna", lease, keystrokes, seconds)
    with pytest.raises(NoSuchCard, match="no card 77"):
        store.card(77)
    with pytest.raises(NoSuchCard):
        store.settle(77, WRONG, "anna", lease)
    with pytest.raises(NoSuchCard, match="no cells"):
        store.check_group("anna", [(number, 17)], [])
    with pytest.raises(StoreError, match="both right and odd"):
        store.check_group("anna", [(number, 1)], [(number, 1)])
    with pytest.raises(StoreError, match="no VIN has 'I'"):
        store.group("I", 10)
    with pytest.raises(StoreError, match="no final state"):
        list(store.results(states=["open"]))
    assert store.history(number) == []


def test_desks_at_once_settle_each_card_once(opened: Opener) -> None:
    """Every desk in its own thread, several stores on one database."""
    stores = [opened(audit_share=0) for _ in range(4)]
    ids = add(stores[0], doubtful(200))
    settled: list[int] = []
    problems: list[BaseException] = []

    def work(desk: int) -> None:
        store, who = stores[desk % 4], f"desk {desk}"
        try:
            while (card := store.next(who, "s")) is not None:
                settled.append(card.id)
                store.settle(card.id, made_vin(card.page), who, card.lease or "")
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=work, args=(desk,)) for desk in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert sorted(settled) == ids
    assert all(len(stores[0].history(number)) == 1 for number in ids)
    assert stores[0].counts().settled == 200
