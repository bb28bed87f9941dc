"""Compiles NHTSA's vPIC, the register of what makers write into their VINs, to `Knowledge`.

vPIC is a work of the US government, in the public domain. It lists for each maker the schemas of its model years, and
for each schema what a pattern of characters at positions 4 to 8 and 10 to 17 says about the vehicle. Compiled is only
which characters there may be, not what they say.

Source: NHTSA, Product Information Catalog and Vehicle Listing (vPIC); 49 CFR 565.
"""

import os
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from vinscribe.charset import is_vin_char
from vinscribe.errors import DataError
from vinscribe.knowledge import MAKER_CODE_CHARS, Knowledge, make_header
from vinscribe.vpic_patterns import POSITIONS, WILD, Keys, join, merge, parse_keys
from vinscribe.vpic_tables import TABLES, Row, VpicTables

QUIRKS = {
    "duplicate": "rows of patterns stand there more than once, taken once",
    "empty": "patterns are empty, left out",
    "malformed": "patterns cannot be understood, left out",
    "impossible": "patterns want a character that no VIN has, left out",
    "dropped": "patterns name characters that no VIN has among others, which are taken without them",
    "lower_case": "patterns are in lower case, taken as capitals",
    "blanks": "patterns have blanks in them, taken without",
    "underscores": "patterns have underscores between brackets, taken without",
    "no_such_schema": "patterns belong to a schema that does not exist, left out",
    "wild_schema": "schemas have no pattern that says anything about positions 4 to 8, taken as schemas that list none",
    "unused_schema": "schemas are of no maker, left out",
    "capped": "schemas list too much to join all of it, the rest left out",
    "maker_malformed": "makers' codes are none that a VIN can have, left out",
    "maker_twice": "makers' codes stand there more than once, taken once",
    "link_without_maker": "links are to a maker that does not exist or was left out, left out",
    "link_without_schema": "links are to a schema that does not exist, left out",
    "link_open": "links have no last year, taken to last until the newest year",
    "link_without_first_year": "links have no first year, taken to begin with 1980",
    "link_backwards": "links end before they begin, taken the other way round",
}
"""What can be odd about vPIC: name -> what it means and what becomes of it, to be read behind a number."""

FIRST_YEAR = 1980
"""The model year that links without a first one begin with, the first that VINs of 17 characters have a code for."""

YEARS_AHEAD = 2
"""Links without a last year last until so many years after the source's date."""

_MOST_NARROW_ROWS = 1 << 16  # that a number of 16 bits can name
_DATE = re.compile(r"\d{4}-\d\d-\d\d")

_Link = tuple[int, int, int | None, int | None]  # maker, schema, first year, last year
_Said = frozenset[tuple[int, int]]  # elements with the descriptors of their patterns
_Content = tuple[tuple[tuple[tuple[int, ...], int], ...], int]  # of a schema: its boxes with their counts, its plants


@dataclass(frozen=True)
class VpicReport:
    """What was found in vPIC, and what was odd about it.

    Attributes:
        rows: table -> its rows.
        quirks: name out of `QUIRKS` -> how often; only those that were met.
        first: the same names -> where it was met first.
        counts: what came out: makers, sets, boxes, schemas, links, joined_rows.
    """

    rows: Mapping[str, int]
    quirks: Mapping[str, int]
    first: Mapping[str, str]
    counts: Mapping[str, int]

    def lines(self) -> list[str]:
        """The report for people."""
        found = ", ".join(f"{count:,} of {table}" for table, count in self.rows.items())
        made = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in self.counts.items())
        odd = [f"  {self.quirks[name]:,} {QUIRKS[name]} (first: {self.first[name]})" for name in self.quirks]
        return [f"read: {found} rows", *odd, f"compiled: {made}"]


def compile_vpic(path: str | os.PathLike[str], source: str | None = None) -> tuple[Knowledge, VpicReport]:
    """Compiles a copy of vPIC.

    Args:
        path: an SQLite database with vPIC's tables, or its plain dump of PostgreSQL, packed or not; see
            `vinscribe.vpic_tables`.
        source: where it is from, a note for the header.

    Returns:
        The knowledge, whose header has the check sum of the database or dump as it is when unpacked, and the newest
        date in it (None if it has none); and the report.

    Raises:
        UsageError: no such file.
        DataError: it cannot be read, is damaged, of another kind, or holds no patterns at all.
    """
    tables = VpicTables(os.fspath(path))
    compiler = _Compiler()
    for table, row in tables.rows():
        compiler.take(table, row)
    if not compiler.patterns or not compiler.links:
        raise DataError(f"{path} holds no {'links' if compiler.patterns else 'patterns'}; give a whole copy of vPIC")
    return compiler.compile(source or "NHTSA vPIC", tables.sha256)


class _Notes:
    """Counts what is odd, and remembers where each kind was met first."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = dict.fromkeys(QUIRKS, 0)
        self.first: dict[str, str] = {}

    def add(self, quirk: str, where: str, count: int = 1) -> None:
        self.counts[quirk] += count
        self.first.setdefault(quirk, where)

    def met(self) -> dict[str, int]:
        return {quirk: count for quirk, count in self.counts.items() if count}


class _Compiler:
    """Takes the rows of all tables, in any order, then compiles them."""

    def __init__(self) -> None:
        self.notes = _Notes()
        self.rows = dict.fromkeys(TABLES, 0)
        self.date = ""
        self.makers: dict[int, str] = {}
        self.codes: set[str] = set()
        self.schemas: set[int] = set()
        self.links: list[_Link] = []
        self.patterns: dict[int, set[tuple[str, int]]] = defaultdict(set)
        self.keys: dict[str, tuple[str, Keys]] = {}  # each text once, however many rows have it

    def take(self, table: str, row: Row) -> None:
        """Takes a row of `vinscribe.vpic_tables.VpicTables.rows`."""
        self.rows[table] += 1
        *values, created, changed = row
        for date in (created, changed):
            if date and date[:10] > self.date and _DATE.match(date):
                self.date = date[:10]
        if table == "pattern":
            self._take_pattern(*values)
        elif table == "wmi":
            self._take_maker(*values)
        elif table == "vinschema":
            self.schemas.add(values[0])
        else:
            self.links.append((values[0], values[1], values[2], values[3]))

    def _take_pattern(self, schema: int, text: str | None, element: int) -> None:
        known = self.keys.get(text or "")
        if known is None:
            known = self.keys[text or ""] = (text or "", parse_keys(text))
        pattern = (known[0], element)
        if pattern in self.patterns[schema]:
            self.notes.add("duplicate", f"{text!r} of schema {schema}")
            return
        self.patterns[schema].add(pattern)
        for quirk in known[1].quirks:
            self.notes.add(quirk, f"{text!r} of schema {schema}")

    def _take_maker(self, number: int, text: str | None) -> None:
        code = (text or "").strip().upper()
        right = len(code) in (3, MAKER_CODE_CHARS) and all(map(is_vin_char, code))
        if not right or (len(code) == MAKER_CODE_CHARS and code[2] != "9"):
            self.notes.add("maker_malformed", repr(text))
            return
        if code in self.codes:
            self.notes.add("maker_twice", repr(text))
        self.codes.add(code)
        self.makers[number] = code

    def compile(self, source: str, sha256: str) -> tuple[Knowledge, VpicReport]:
        """The knowledge of all rows that were taken."""
        links = self._sound_links()
        self._note_unused({link[3] for link in links})
        contents: dict[int, _Content] = {}  # of each schema
        memo: dict[_Said, _Content] = {}
        for _, _, _, schema in links:
            if schema not in contents:
                said, plants = self._said(schema)
                if said not in memo:
                    memo[said] = self._joined(said, schema)
                contents[schema] = (memo[said][0], plants)
        numbers = {content: number for number, content in enumerate(dict.fromkeys(contents.values()))}
        codes = sorted(self.codes)
        rows = {code: row for row, code in enumerate(codes)}
        table = sorted({(rows[code], numbers[contents[schema]], first, last) for code, first, last, schema in links})
        knowledge = _pack(codes, list(numbers), table)
        counts = {
            "makers": len(codes),
            "schemas": len(numbers),
            "boxes": len(knowledge.boxes),
            "sets": len(knowledge.sets),
            "links": len(table),
            "joined_rows": int(knowledge.box_counts.sum()),
        }
        header = make_header(source, self.date or None, sha256, **counts)
        return replace(knowledge, header=header), VpicReport(self.rows, self.notes.met(), self.notes.first, counts)

    def _sound_links(self) -> list[tuple[str, int, int, int]]:
        """(maker's code, first year, last year, schema) of the links that lead from one thing to another, sorted."""
        newest = int(self.date[:4]) + YEARS_AHEAD if self.date else FIRST_YEAR
        newest = max([newest, *(last for _, _, _, last in self.links if last and not self.date)])
        links = []
        for maker, schema, first, last in self.links:
            where = f"maker {maker}, schema {schema}"
            if maker not in self.makers:
                self.notes.add("link_without_maker", where)
                continue
            if schema not in self.schemas:
                self.notes.add("link_without_schema", where)
                continue
            if first is None:
                self.notes.add("link_without_first_year", where)
                first = FIRST_YEAR
            if last is None:
                self.notes.add("link_open", where)
                last = max(first, newest)
            if last < first:
                self.notes.add("link_backwards", where)
                first, last = last, first
            links.append((self.makers[maker], first, last, schema))
        return sorted(links)

    def _note_unused(self, used: set[int]) -> None:
        for schema in sorted(self.schemas - used):
            self.notes.add("unused_schema", f"schema {schema}")
        for schema in sorted(self.patterns.keys() - self.schemas):
            self.notes.add("no_such_schema", f"schema {schema}", len(self.patterns[schema]))

    def _said(self, schema: int) -> tuple[_Said, int]:
        """What a schema's patterns say: (element, descriptor) of all that say something, and the plants."""
        said, plants = set(), 0
        for text, element in self.patterns.get(schema, ()):
            keys = self.keys[text][1]
            if keys.descriptor is not None:
                plants |= keys.plants
                if keys.descriptor != WILD:
                    said.add((element, keys.descriptor))
        if not said:
            self.notes.add("wild_schema", f"schema {schema}")
        return frozenset(said), plants

    def _joined(self, said: _Said, schema: int) -> _Content:
        elements: dict[int, list[int]] = defaultdict(list)
        for element, descriptor in said:
            elements[element].append(descriptor)
        if not elements:
            return (), 0
        rows, capped = join(elements)
        if capped:
            self.notes.add("capped", f"schema {schema}")
        return tuple(merge(rows)), 0


def _pack(codes: list[str], contents: list[_Content], links: list[tuple[int, int, int, int]]) -> Knowledge:
    """The arrays of knowledge, without a header."""
    masks = {mask for boxes, plants in contents for sets, _ in boxes for mask in sets} | {p for _, p in contents} | {0}
    rows = {mask: row for row, mask in enumerate(sorted(masks))}
    dtype: np.dtype[np.integer] = np.dtype(np.uint16 if len(rows) <= _MOST_NARROW_ROWS else np.int32)
    boxes = [[rows[mask] for mask in sets] for found, _ in contents for sets, _ in found]
    ends = np.cumsum([0, *(len(found) for found, _ in contents)])
    return Knowledge(
        makers=np.array(codes, f"S{MAKER_CODE_CHARS}"),
        sets=np.array(list(rows), np.uint64),
        boxes=np.array(boxes, np.int32).reshape(-1, POSITIONS).astype(dtype),
        box_counts=np.array([count for found, _ in contents for _, count in found], np.int32),
        first_box=ends.astype(np.int32),
        schema_plants=np.array([rows[plants] for _, plants in contents], np.int32).astype(dtype),
        links=np.array(links, np.int32).reshape(-1, 4),
        header={},
    )
