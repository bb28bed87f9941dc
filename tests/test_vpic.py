"""vpic.py, vpic_tables.py, vpic_patterns.py: what is made of NHTSA's register, and of all that is odd in it."""

import gzip
import hashlib
import itertools
import sqlite3
import subprocess
import zipfile
from contextlib import closing

import numpy as np
import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from postgresql_server import find_programs, new_database, shared_server

from vinscribe import vpic_patterns
from vinscribe.charset import CHARSET, label_of
from vinscribe.errors import DataError, UsageError
from vinscribe.knowledge import Knowledge
from vinscribe.vpic import QUIRKS, compile_vpic
from vinscribe.vpic_patterns import ANY, WILD, join, merge, pack, parse_keys, unpack

MODEL, SERIES, ENGINE, PLANT = 28, 34, 18, 31

MAKERS = [(1, "1HG"), (2, "1A9001"), (3, "2XY")]
SCHEMAS = [10, 11, 12]
LINKS = [(1, 10, 2001, 2003), (1, 11, 2004, None), (2, 11, 1990, 1990), (3, 12, 1999, 2000)]
PATTERNS = [
    (10, "CM8", MODEL),
    (10, "CM5", MODEL),
    (10, "***[26]*", SERIES),
    (10, "****[3-5]", ENGINE),
    (10, "*****|*A", PLANT),
    (10, "*****|*[LM]", PLANT),
    (11, "GD", MODEL),
    (12, "*****|*T", PLANT),
]
DATE = "2024-05-06 07:08:09"


def sqlite_file(path, makers=MAKERS, schemas=SCHEMAS, links=LINKS, patterns=PATTERNS, date=DATE):
    with closing(sqlite3.connect(path)) as database:
        database.executescript(
            "CREATE TABLE Wmi (Id INTEGER, Wmi TEXT, CreatedOn TEXT, UpdatedOn TEXT);"
            "CREATE TABLE VinSchema (Id INTEGER, Name TEXT);"
            "CREATE TABLE Wmi_VinSchema (Id INTEGER, YearFrom INTEGER, YearTo INTEGER, WmiId INTEGER, "
            "VinSchemaId INTEGER);"
            "CREATE TABLE Pattern (Id INTEGER, VinSchemaId INTEGER, Keys TEXT, ElementId INTEGER, AttributeId TEXT);"
        )
        database.executemany("INSERT INTO Wmi VALUES (?, ?, ?, NULL)", [(*maker, date) for maker in makers])
        database.executemany("INSERT INTO VinSchema VALUES (?, 'a name')", [(schema,) for schema in schemas])
        database.executemany(
            "INSERT INTO Wmi_VinSchema (WmiId, VinSchemaId, YearFrom, YearTo) VALUES (?, ?, ?, ?)", links
        )
        database.executemany("INSERT INTO Pattern (VinSchemaId, Keys, ElementId) VALUES (?, ?, ?)", patterns)
        database.commit()
    return path


def copied(value):
    """A value as COPY writes it."""
    return "\\N" if value is None else str(value).replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")


def block(header, rows):
    return "\n".join([header, *("\t".join(map(copied, row)) for row in rows), "\\.", "", ""])


def dump_text(makers=MAKERS, schemas=SCHEMAS, links=LINKS, patterns=PATTERNS, date=DATE):
    return (
        "--\n-- PostgreSQL database dump\n--\n\nSET client_encoding = 'UTF8';\n\n"
        "CREATE TABLE vpic.pattern (\n    id integer NOT NULL,\n    keys character varying(50)\n);\n\n"
        + block("COPY vpic.make (id, name) FROM stdin;", [(1, "Häuser & \\ Söhne\tGmbH")])
        + block(
            "COPY vpic.pattern (id, keys, vinschemaid, elementid, attributeid) FROM stdin;",
            [(i, keys, schema, element, "a\tb\\\n") for i, (schema, keys, element) in enumerate(patterns)],
        )
        + block('COPY "vpic"."VinSchema" ("Id", "Name") FROM stdin;', [(schema, "a name") for schema in schemas])
        + block("copy WMI (UpdatedOn, Wmi, Id) from STDIN;", [(date, code, i) for i, code in makers])
        + block(
            "COPY vpic.wmi_vinschema (id, wmiid, vinschemaid, yearfrom, yearto, orgid) FROM stdin;",
            [(i, *link, None) for i, link in enumerate(links)],
        )
        + "--\n-- PostgreSQL database dump complete\n--\n"
    )


def odd(tmp_path, **tables):
    """The knowledge, and the quirks met, of a database with these rows in place of the usual ones."""
    path = tmp_path / "odd.db"
    path.unlink(missing_ok=True)
    knowledge, report = compile_vpic(sqlite_file(path, **tables), "made for a test")
    assert set(report.quirks) == set(report.first) <= set(QUIRKS)
    assert len(report.lines()) == 2 + len(report.quirks)
    return knowledge, dict(report.quirks)


def chars(knowledge, row):
    return "".join(char for label, char in enumerate(CHARSET) if int(knowledge.sets[row]) >> label & 1)


def content(knowledge):
    """(maker, first year, last year, boxes, plants) of all links, in words."""
    found = []
    for maker, schema, first, last in knowledge.links.tolist():
        rows = knowledge.boxes[knowledge.first_box[schema] : knowledge.first_box[schema + 1]]
        boxes = sorted(" ".join(chars(knowledge, row) for row in box) for box in rows)
        plants = chars(knowledge, knowledge.schema_plants[schema])
        found.append((knowledge.makers[maker].decode(), first, last, boxes, plants))
    return sorted(found)


EXPECTED = [
    ("1A9001", 1990, 1990, ["G D " + " ".join([CHARSET] * 3)], ""),
    ("1HG", 2001, 2003, ["C M 58 26 345"], "ALM"),
    ("1HG", 2004, 2026, ["G D " + " ".join([CHARSET] * 3)], ""),
    ("2XY", 1999, 2000, [], "T"),
]


def test_compiles_a_database(tmp_path):
    knowledge, report = compile_vpic(sqlite_file(tmp_path / "a.db"), "made for a test")
    assert content(knowledge) == EXPECTED
    assert knowledge.header["source"] == "made for a test"
    assert knowledge.header["source_date"] == "2024-05-06"
    assert knowledge.header["source_sha256"] == hashlib.sha256((tmp_path / "a.db").read_bytes()).hexdigest()
    assert knowledge.header["counts"] == report.counts
    assert report.counts == {"makers": 3, "schemas": 3, "boxes": 2, "sets": 11, "links": 4, "joined_rows": 3}
    assert report.rows == {"wmi": 3, "vinschema": 3, "wmi_vinschema": 4, "pattern": 8}
    assert report.quirks == {"wild_schema": 1, "link_open": 1}
    knowledge.save(tmp_path / "a.npz")
    assert content(Knowledge.load(tmp_path / "a.npz")) == EXPECTED


def test_the_same_bytes_whatever_the_order(tmp_path):
    compile_vpic(sqlite_file(tmp_path / "a.db"))[0].save(tmp_path / "a.npz")
    compile_vpic(tmp_path / "a.db")[0].save(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    tables = {"makers": MAKERS, "schemas": SCHEMAS, "links": LINKS, "patterns": PATTERNS}
    turned, _ = compile_vpic(sqlite_file(tmp_path / "c.db", **{name: rows[::-1] for name, rows in tables.items()}))
    turned.header["source_sha256"] = compile_vpic(tmp_path / "a.db")[0].header["source_sha256"]
    turned.save(tmp_path / "c.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "c.npz").read_bytes()


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_compiles_a_dump(tmp_path, ends):
    raw = dump_text().replace("\n", ends).encode()
    (tmp_path / "a.sql").write_bytes(raw)
    knowledge, report = compile_vpic(tmp_path / "a.sql")
    assert content(knowledge) == EXPECTED
    assert knowledge.header["source"] == "NHTSA vPIC"
    assert knowledge.header["source_date"] == "2024-05-06"
    assert knowledge.header["source_sha256"] == hashlib.sha256(raw).hexdigest()
    assert report.rows == {"wmi": 3, "vinschema": 3, "wmi_vinschema": 4, "pattern": 8}


@pytest.mark.parametrize("kind", ["gz", "zip"])
@pytest.mark.parametrize("database", [True, False])
def test_packed_files_are_known_by_their_content(tmp_path, kind, database):
    raw = sqlite_file(tmp_path / "a.db").read_bytes() if database else dump_text().encode()
    path = tmp_path / "vpic.bin"
    if kind == "gz":
        path.write_bytes(gzip.compress(raw))
    else:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("folder/", "")
            archive.writestr("folder/vpic.sql", raw)
    knowledge, _ = compile_vpic(path)
    assert content(knowledge) == EXPECTED
    assert knowledge.header["source_sha256"] == hashlib.sha256(raw).hexdigest()


def test_compiles_what_pg_dump_writes(tmp_path):
    server = shared_server()
    if server is None:
        pytest.skip("PostgreSQL is not installed")
    url = new_database(server, "vpic").replace("+psycopg", "")
    with psycopg.connect(url) as connection:
        connection.execute("CREATE SCHEMA vpic")
        connection.execute("CREATE TABLE vpic.wmi (id int, wmi varchar(6), createdon timestamp, updatedon timestamp)")
        connection.execute('CREATE TABLE vpic."VinSchema" ("Id" int, "Name" varchar(50))')
        connection.execute("CREATE TABLE vpic.wmi_vinschema (wmiid int, vinschemaid int, yearfrom int, yearto int)")
        connection.execute("CREATE TABLE vpic.pattern (elementid int, note text, keys varchar(50), vinschemaid int)")
        with connection.cursor() as cursor:
            cursor.executemany("INSERT INTO vpic.wmi VALUES (%s, %s, %s)", [(*maker, DATE) for maker in MAKERS])
            cursor.executemany('INSERT INTO vpic."VinSchema" VALUES (%s, %s)', [(each, "a\tname") for each in SCHEMAS])
            cursor.executemany("INSERT INTO vpic.wmi_vinschema VALUES (%s, %s, %s, %s)", LINKS)
            note = "\\.\n\\N\tCOPY vpic.wmi (id) FROM stdin;\r"
            rows = [(element, note, keys, schema) for schema, keys, element in PATTERNS]
            cursor.executemany("INSERT INTO vpic.pattern VALUES (%s, %s, %s, %s)", rows)
    programs = find_programs()
    for form, name in (("plain", "a.sql"), ("custom", "a.dump")):
        subprocess.run([programs / "pg_dump", "-d", url, "-F", form, "-f", tmp_path / name], check=True)
    assert content(compile_vpic(tmp_path / "a.sql")[0]) == EXPECTED
    with pytest.raises(DataError, match="pg_restore"):
        compile_vpic(tmp_path / "a.dump")


def test_escapes_of_a_dump(tmp_path):
    text = dump_text().replace("\tCM8\t", "\t\\103\\x4d\\8\t")
    assert text != dump_text()
    (tmp_path / "a.sql").write_text(text)
    assert content(compile_vpic(tmp_path / "a.sql")[0]) == EXPECTED


def test_dates(tmp_path):
    knowledge, _ = odd(tmp_path, date=None)
    assert knowledge.header["source_date"] is None
    assert ("1HG", 2004, 2004, EXPECTED[2][3], "") in content(knowledge)  # open, and no later year is named
    assert odd(tmp_path, date="2031-01-02T03:04:05.678Z")[0].header["source_date"] == "2031-01-02"
    assert odd(tmp_path, date="yesterday")[0].header["source_date"] is None


# What is odd


@pytest.mark.parametrize(
    ("keys", "quirk"),
    [
        ("", "empty"),
        (None, "empty"),
        ("  ", "empty"),
        ("CM[82", "malformed"),
        ("CM826A", "malformed"),
        ("C[]8", "malformed"),
        ("C[_]8", "malformed"),
        ("C[OQ]8", "malformed"),
        ("C[9-0]8", "malformed"),
        ("C[A-]8", "malformed"),
        ("C[^A]8", "malformed"),
        ("C8]", "malformed"),
        ("C 8", "malformed"),
        ("Cß8", "malformed"),
        ("C8|*A*******", "malformed"),
        ("CO8", "impossible"),
        ("*****|*Q", "impossible"),
    ],
)
def test_patterns_left_out(tmp_path, keys, quirk):
    knowledge, quirks = odd(tmp_path, patterns=[*PATTERNS, (10, keys, MODEL)])
    assert content(knowledge) == EXPECTED
    assert quirks == {"wild_schema": 1, "link_open": 1, quirk: 1}


@pytest.mark.parametrize(
    ("keys", "quirk"),
    [
        ("Z[A-CIX]", "dropped"),
        ("Z[ABCOX]", "dropped"),
        ("z[a-cx]", "lower_case"),
        (" Z[A-CX] ", "blanks"),
        ("Z[A B C X]", "blanks"),
        ("Z[A-CX___]", "underscores"),
        ("Z[A-CX]", None),
        ("Z[XABC]***", None),
        ("Z[XABC]__", None),
    ],
)
def test_patterns_mended(tmp_path, keys, quirk):
    knowledge, quirks = odd(tmp_path, patterns=[*PATTERNS, (11, keys, MODEL)])
    boxes = next(found[3] for found in content(knowledge) if found[0] == "1A9001")
    assert boxes == sorted([f"G D {' '.join([CHARSET] * 3)}", f"Z ABCX {' '.join([CHARSET] * 3)}"])
    assert quirks == {"wild_schema": 1, "link_open": 1} | ({quirk: 1} if quirk else {})


def test_ranges_pass_over_what_no_vin_has():
    assert unpack(parse_keys("[A-Z]").descriptor)[0] == ANY >> 10 << 10
    assert unpack(parse_keys("[0-9A-Z]").descriptor)[0] == ANY
    assert unpack(parse_keys("#").descriptor)[0] == 0b11_1111_1111
    assert parse_keys("[0-9A-Z]").quirks == ()
    assert parse_keys("ABCDE").descriptor == pack([1 << label_of(char) for char in "ABCDE"])
    assert parse_keys("*").descriptor == parse_keys("*****|*A").descriptor == WILD


def test_rows_that_stand_there_twice(tmp_path):
    knowledge, quirks = odd(tmp_path, patterns=PATTERNS + PATTERNS[:3], makers=[*MAKERS, (4, "1hg")])
    assert content(knowledge) == EXPECTED
    assert (quirks["duplicate"], quirks["maker_twice"]) == (3, 1)


@pytest.mark.parametrize("code", ["1OY", "", None, "1H", "1HG2", "1A8001", "1A900O", "1A90012", "1H\t"])
def test_makers_whose_code_is_none(tmp_path, code):
    links = [*LINKS, (4, 10, 2001, 2001)]
    knowledge, quirks = odd(tmp_path, makers=[*MAKERS, (4, code)], links=links)
    assert content(knowledge) == EXPECTED
    assert (quirks["maker_malformed"], quirks["link_without_maker"]) == (1, 1)


@pytest.mark.parametrize(
    ("link", "quirk", "years"),
    [
        ((9, 10, 2001, 2001), "link_without_maker", None),
        ((3, 99, 2001, 2001), "link_without_schema", None),
        ((3, 10, 2001, None), "link_open", (2001, 2026)),
        ((3, 10, 2030, None), "link_open", (2030, 2030)),
        ((3, 10, None, 1985), "link_without_first_year", (1980, 1985)),
        ((3, 10, 2005, 2001), "link_backwards", (2001, 2005)),
    ],
)
def test_odd_links(tmp_path, link, quirk, years):
    knowledge, quirks = odd(tmp_path, links=[*LINKS, link])
    assert quirks[quirk] == 1 + (quirk == "link_open")
    new = [("2XY", *years, EXPECTED[1][3], "ALM")] if years else []
    assert sorted(content(knowledge)) == sorted(EXPECTED + new)


def test_odd_schemas(tmp_path):
    patterns = [*PATTERNS, (77, "ABC", MODEL), (77, "ABD", MODEL), (13, "ABC", MODEL)]
    knowledge, quirks = odd(
        tmp_path, schemas=[*SCHEMAS, 13, 14], patterns=patterns, links=[*LINKS, (3, 14, 2002, 2002)]
    )
    assert sorted(content(knowledge)) == sorted([*EXPECTED, ("2XY", 2002, 2002, [], "")])
    assert quirks == {"no_such_schema": 2, "wild_schema": 2, "unused_schema": 1, "link_open": 1}


def test_schemas_of_the_same_content_are_one(tmp_path):
    patterns = [*PATTERNS, *((13, keys, element + 1000) for schema, keys, element in PATTERNS if schema == 10)]
    knowledge, _ = odd(tmp_path, schemas=[*SCHEMAS, 13], patterns=patterns, links=[*LINKS, (1, 13, 2001, 2003)])
    assert content(knowledge) == EXPECTED
    assert len(knowledge.schema_plants) == 3


def test_schemas_that_list_too_much(tmp_path, monkeypatch):
    monkeypatch.setattr(vpic_patterns, "MOST_ROWS", 5)
    patterns = [(11, "GD", MODEL), (11, "GE", MODEL), (11, "GF", MODEL)]
    patterns += [(11, f"**{one}{two}", ENGINE) for one, two in ("12", "34")]
    knowledge, quirks = odd(tmp_path, patterns=[*PATTERNS[:6], *patterns])
    assert quirks["capped"] == 1
    boxes = next(found[3] for found in content(knowledge) if found[0] == "1A9001")
    assert boxes == [f"G DEF 13 24 {CHARSET}"]  # the engines' pairs are lost, their characters are not
    assert knowledge.box_counts.tolist().count(3) == 1


# Joining, against all combinations

LETTERS = "AB1"
one_place = st.sampled_from(["*", "A", "B", "1", "[AB]", "[B1]"])
keys_of_a_schema = st.dictionaries(
    st.sampled_from([MODEL, SERIES, ENGINE]),
    st.lists(st.lists(one_place, min_size=1, max_size=5).map("".join), min_size=1, max_size=4),
    min_size=1,
    max_size=3,
)


def allowed(descriptor, word):
    return all(mask >> label_of(char) & 1 for mask, char in zip(unpack(descriptor), word, strict=True))


def words_of(rows):
    """All words of five letters that some row allows; alphabets are as large as the letters."""
    return {word for word in itertools.product(LETTERS, repeat=5) if any(allowed(row, word) for row in rows)}


def brute_force(elements):
    """All words: each element in turn refines what is left, or says nothing about it."""
    masks = {element: [unpack(d) for d in descriptors] for element, descriptors in elements.items()}
    order = sorted(
        masks, key=lambda e: (e != MODEL, -max(sum(m != ANY for m in sets) for sets in masks[e]), -len(masks[e]), e)
    )
    rows = [(ANY,) * 5]
    for element in order:
        refined = []
        for row in rows:
            fits = [tuple(a & b for a, b in zip(row, sets, strict=True)) for sets in masks[element]]
            refined += [fit for fit in fits if all(fit)] or [row]
        rows = refined
    words = set()
    for row in rows:
        places = [[char for char in LETTERS if allows(mask, char, place, masks)] for place, mask in enumerate(row)]
        words |= set(itertools.product(*places))
    return words


def allows(mask, char, place, masks):
    """Whether a character may stand at a place of a joined row; an open one has the schema's alphabet there."""
    if mask == ANY:
        named = [sets[place] for descriptors in masks.values() for sets in descriptors if sets[place] != ANY]
        return not named or any(each >> label_of(char) & 1 for each in named)
    return bool(mask >> label_of(char) & 1)


@given(keys_of_a_schema)
@settings(max_examples=80, deadline=None)
def test_boxes_equal_all_combinations(keys):
    elements = {element: {parse_keys(text).descriptor for text in texts} - {WILD} for element, texts in keys.items()}
    elements = {element: descriptors for element, descriptors in elements.items() if descriptors}
    if not elements:
        return
    rows, capped = join(elements)
    assert not capped
    boxes = merge(rows)
    expected = brute_force(elements)
    assert words_of(rows) == expected
    assert words_of([pack(sets) for sets, _ in boxes]) == expected
    assert sum(count for _, count in boxes) == len(rows) >= len(boxes)


# Files that are none


@pytest.mark.parametrize(
    ("raw", "match"),
    [
        (b"", "it has no table wmi, vinschema, wmi_vinschema, pattern"),
        (b"some text\n", "it has no table"),
        (b"PGDMP\x01\x0e\0", "custom format; .*pg_restore"),
        (b"TAPE\0\0\x03\0", "backup of Microsoft SQL Server"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "is no database of vPIC"),
        (b"SQLite format 3\0" + b"\0" * 2000, "is damaged"),
        (gzip.compress(dump_text().encode())[:-30], "is damaged: .*fetch it once more"),
        (gzip.compress(b"\0" * 257 + b"ustar" + b"\0" * 500), r"is an archive \(tar\)"),
        (b"PK\x03\x04 and no more", "is damaged"),
        (dump_text().partition("COPY vpic.wmi_vin")[0].encode(), "no table wmi_vinschema;"),
        (dump_text()[: dump_text().index("1A9001") + 7].encode(), "is damaged: .*fetch it once more"),
        (dump_text()[: dump_text().index("1A9001") + 9].encode(), "is damaged: .*ends within the table wmi"),
        (dump_text().replace("yearfrom, ", "start, ").encode(), "wmi_vinschema has no column yearfrom"),
        (dump_text().replace("\t2001\t", "\tlast\t").encode(), r"has 'last' as yearfrom, no number"),
        (dump_text().replace("\t2001\t", "\t2001\t\t").encode(), "has 7 columns of 6"),
        (dump_text(patterns=[]).encode(), "holds no patterns"),
        (dump_text(links=[]).encode(), "holds no links"),
    ],
)
def test_files_of_another_kind(tmp_path, raw, match):
    (tmp_path / "a.bin").write_bytes(raw)
    with pytest.raises(DataError, match=match) as caught:
        compile_vpic(tmp_path / "a.bin")
    assert str(tmp_path / "a.bin") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_databases_of_another_kind(tmp_path):
    with closing(sqlite3.connect(tmp_path / "a.db")) as database:
        database.execute("CREATE TABLE Wmi (Id INTEGER, Code TEXT)")
    with pytest.raises(DataError, match="its table wmi has no column wmi"):
        compile_vpic(tmp_path / "a.db")
    with closing(sqlite3.connect(tmp_path / "b.db")) as database:
        database.execute("CREATE TABLE Cards (Id INTEGER)")
    with pytest.raises(DataError, match="it has no table wmi"):
        compile_vpic(tmp_path / "b.db")
    whole = sqlite_file(tmp_path / "c.db", patterns=PATTERNS * 500).read_bytes()
    (tmp_path / "c.db").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"is damaged: .*fetch it once more"):
        compile_vpic(tmp_path / "c.db")


def test_no_such_file(tmp_path):
    with pytest.raises(UsageError, match=r"no such file: .*none\.db; give vPIC"):
        compile_vpic(tmp_path / "none.db")
    with pytest.raises(DataError, match="cannot read"):
        compile_vpic(tmp_path)


def test_zips_of_several_files(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.sql", dump_text())
        archive.writestr("readme.txt", "text")
    with pytest.raises(DataError, match="zip of 2 files"):
        compile_vpic(tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "b.zip", "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("a.sql", dump_text())
    with pytest.raises(DataError, match="packed in a rare way; unpack it first"):
        compile_vpic(tmp_path / "b.zip")


def test_many_sets_need_wider_rows(tmp_path, monkeypatch):
    monkeypatch.setattr("vinscribe.vpic._MOST_NARROW_ROWS", 3)
    knowledge, _ = odd(tmp_path)
    assert knowledge.boxes.dtype == knowledge.schema_plants.dtype == np.int32
    assert content(knowledge) == EXPECTED
    knowledge.save(tmp_path / "a.npz")
    assert content(Knowledge.load(tmp_path / "a.npz")) == EXPECTED
