"""The review desk's store: what comes in, and how it is opened."""

import contextlib
import sqlite3
import threading
from pathlib import Path

import pytest

pytest.importorskip("sqlalchemy", reason="needs the extra [review]")

import opened_stores
from made_readings import made_hash, made_reading, made_vin
from opened_stores import WRONG, Opener, add, doubtful, given, settle

from vinscribe.errors import StoreError
from vinscribe.review.store import Store

opened = opened_stores.opened


def test_what_was_filed_is_given_out(opened: Opener) -> None:
    store = opened()
    assert not store.knows(made_hash(1), "m", "{}")
    ids = add(store, [made_reading(3), made_reading(1, decision="no_field")])
    assert store.knows(made_hash(1), "m", "{}")
    assert not store.knows(made_hash(1), "m", '{"market": "europe"}')
    card = store.card(ids[0])
    assert (card.scan_path, card.sha256, card.page, card.model_hash) == ("scans/1.tif", made_hash(1), 3, "m")
    assert (card.state, card.needed, card.audit, card.answer, card.checked, card.lease) == (
        "open",
        1,
        False,
        None,
        {},
        None,
    )
    assert card.reading["vin"] == made_vin(3)
    assert card.reading["cells"][16]["choices"][0] == ["3", 0.5]
    assert store.card(ids[1]).reading["vin"] is None
    counts = store.counts()
    assert (counts.open, counts.no_field, counts.total) == (2, 1, 2)


def test_the_same_scan_twice_is_one_record(opened: Opener) -> None:
    store = opened()
    ids = add(store, doubtful(3))
    again = store.add("elsewhere.tif", made_hash(1), 100, doubtful(3), [], "m", "{}")
    assert again == ids
    assert store.counts().total == 3
    assert store.card(ids[0]).scan_path == "scans/1.tif"
    store.moved(made_hash(1), "elsewhere.tif")
    assert store.card(ids[0]).scan_path == "elsewhere.tif"
    assert store.path_of(made_hash(1)) == "elsewhere.tif"
    assert store.path_of(made_hash(2)) is None


def test_a_long_scan_comes_in_parts(opened: Opener) -> None:
    store = opened()
    first = add(store, doubtful(2), complete=False)
    assert not store.knows(made_hash(1), "m", "{}")
    assert given(store.next("anna", "s"))[0] == first[0]
    add(store, [made_reading(3)])
    assert store.knows(made_hash(1), "m", "{}")
    assert store.counts().total == 3


def test_names_of_files_are_kept_as_they_are(opened: Opener) -> None:
    store = opened()
    path = "sc\udcffan's\n\u4e2d\u00e9 \\udc.tif"
    (number,) = store.add(path, made_hash(1), 100, [made_reading(1)], [(2, f"{path}: broken")], "m", "{}")
    assert store.card(number).scan_path == path
    assert [(failure.path, failure.page, failure.error) for failure in store.failures()] == [
        (path, 2, f"{path}: broken")
    ]


def test_what_failed_is_forgotten_once_it_is_read(opened: Opener) -> None:
    store = opened()
    store.add("a.tif", made_hash(1), 100, [made_reading(1)], [(2, "broken"), (3, "broken")], "m", "{}")
    store.add("b.tif", made_hash(2), 100, [], [(None, "no picture")], "m", "{}")
    assert store.counts().failed == 3
    store.add("a.tif", made_hash(1), 100, [made_reading(2)], [], "m2", "{}", complete=False)
    assert [(failure.path, failure.page) for failure in store.failures()] == [("a.tif", 3), ("b.tif", None)]
    store.add("a.tif", made_hash(1), 100, [made_reading(1)], [], "m2", "{}")
    assert [failure.path for failure in store.failures()] == ["b.tif"]


def test_a_new_reading_takes_over_unless_people_have_to_do_with_the_card(opened: Opener) -> None:
    store = opened(audit_share=0)
    ids = add(store, doubtful(4))
    assert settle(store, "anna", WRONG) == ids[0]
    assert given(store.next("bert", "s"))[0] == ids[1]
    store.check_group("carl", [(ids[2], 0), (ids[2], 16)], [(ids[3], 0)])
    new = [made_reading(page, made_vin(page + 10), decision="accept", confidence=0.9995) for page in range(1, 5)]
    assert add(store, new, model="m2") == ids
    assert [store.card(number).model_hash for number in ids] == ["m", "m", "m2", "m"]
    assert [store.card(number).state for number in ids] == ["settled", "open", "accepted", "open"]
    assert store.card(ids[2]).checked == {0: True, 16: True}  # the characters there are the same: 1 … 3
    assert store.knows(made_hash(1), "m2", "{}")


def test_what_is_there_is_there_the_next_time(opened: Opener) -> None:
    ids = add(opened(), doubtful(2))
    settle(opened(), "anna", WRONG)
    assert opened().card(ids[0]).answer == WRONG


def test_the_same_scan_added_at_once_is_one_record(opened: Opener) -> None:
    stores = [opened() for _ in range(2)]
    problems: list[BaseException] = []

    def work(store: Store) -> None:
        try:
            for scan in range(10):
                add(store, doubtful(3), scan)
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=work, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert stores[0].counts().total == 30


def test_a_failing_add_leaves_nothing_behind(opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    store = opened()

    def fail(*_: object) -> None:
        raise StoreError("no")

    monkeypatch.setattr("vinscribe.review.filing._add_failures", fail)
    with pytest.raises(StoreError, match="no"):
        add(store, doubtful(2))
    assert store.counts().total == 0
    assert not store.knows(made_hash(1), "m", "{}")


def test_a_newer_store_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cards.db"
    Store.opened(path).close()
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE meta SET value = '99'")
    with pytest.raises(StoreError, match="version 99"):
        Store.opened(path)


@pytest.mark.parametrize("statement", ["CREATE TABLE people (name TEXT)", "CREATE TABLE meta (key TEXT, value TEXT)"])
def test_another_programs_database_is_left_alone(tmp_path: Path, statement: str) -> None:
    path = tmp_path / "other.db"
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)
    with pytest.raises(StoreError, match="another program"):
        Store.opened(path)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM sqlite_master WHERE type = 'table'").fetchone() == (1,)


def test_what_cannot_be_opened_says_why(tmp_path: Path) -> None:
    text = tmp_path / "text.db"
    text.write_text("no database at all, " * 100)
    with pytest.raises(StoreError, match="is it a database of vinscribe"):
        Store.opened(text)
    with pytest.raises(StoreError, match="no folder"):
        Store.opened(tmp_path / "missing" / "cards.db")
    with pytest.raises(StoreError, match="no such kind of database: 'mysql'"):
        Store.opened("mysql://host/name")
    with pytest.raises(StoreError, match="is no share"):
        Store.opened(tmp_path / "cards.db", audit_share=1.5)


def test_a_server_that_is_not_there_is_named_without_its_password() -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(StoreError, match=r"127\.0\.0\.1") as refused:
        Store.opened("postgresql+psycopg://anna:secret@127.0.0.1:1/cards")
    assert "secret" not in str(refused.value)


def test_a_settled_vin_is_on_the_disk(tmp_path: Path) -> None:
    with Store.opened(tmp_path / "cards.db") as store, store._database.reading() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL
