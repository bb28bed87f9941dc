"""What files of knowledge know, in lines for people: what ``vinscribe vehicles show`` prints."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from vinscribe.charset import CHARSET, NUM_CLASSES, label_of
from vinscribe.knowledge import Knowledge
from vinscribe.register import Register
from vinscribe.vin import YEAR_CODES

_FIRST_YEAR = 1980  # the first that YEAR_CODES stand for, twice over
_DIGITS = 10  # the first class labels
_MOST_MAKERS = 10  # of a register: those that it has most VINs of
_LEAST_RUN = 4  # characters following each other that are written as a range
_WIDTH = 96  # of lines that list codes


def show_lines(known: Knowledge | Register) -> list[str]:
    """What a file holds: where it is from and how much it is."""
    return _knowledge_lines(known) if isinstance(known, Knowledge) else _register_lines(known)


def _knowledge_lines(knowledge: Knowledge) -> list[str]:
    header = knowledge.header
    counts = header.get("counts")
    rows = {
        "kind": "knowledge of vehicles: what makers tell of their VINs",
        "source": _shown(header.get("source")),
        "date": _shown(header.get("source_date")),
        "sha256": _shown(header.get("source_sha256")),
    }
    if isinstance(counts, dict):
        rows |= {_shown(name).replace("_", " "): _number(count) for name, count in counts.items()}
    if len(knowledge.links):
        rows["model years"] = f"{knowledge.links[:, 2].min()} to {knowledge.links[:, 3].max()}"
    return _aligned(rows)


def _register_lines(register: Register) -> list[str]:
    """How many VINs an office has, of which makers, and how many have a valid check digit."""
    codes, counts = _makers(register)
    rows = {
        "kind": "register: what is usual among an office's VINs",
        "VINs": f"{len(register):,}",
        "makers": f"{len(codes):,}",
        "ways to begin": f"{len(register.heads):,}",
        "check digit": check_digits(register),
    }
    lines = _aligned(rows)
    if len(codes):
        most = np.argsort(-counts, kind="stable")[:_MOST_MAKERS]
        lines.append("most frequent makers:" if len(codes) > len(most) else "makers:")
        lines += [f"  {codes[row]}  {counts[row]:>9,}  {counts[row] / len(register):6.1%}" for row in most]
    return lines


def check_digits(register: Register) -> str:
    """How many of a register's VINs have a valid check digit."""
    valid = int(register.valid.sum())
    return f"{valid / len(register):.1%} with a valid check digit" if len(register) else "no VINs"


def known_makers(known: Knowledge | Register, start: str) -> list[str]:
    """Codes of the makers known whose code begins like this, sorted."""
    codes = [code.decode() for code in known.makers] if isinstance(known, Knowledge) else _makers(known)[0]
    return [code for code in codes if code.startswith(start)]


def maker_lines(known: Knowledge | Register, maker: str, year: int | None) -> list[str]:
    """What is known of a maker, in one model year or in all; no lines if it is none.

    Args:
        known: what the file holds.
        maker: code; of a register, only its first three characters count.
        year: model year, None for all.
    """
    lines = _of_knowledge(known, maker, year) if isinstance(known, Knowledge) else _of_register(known, maker, year)
    return list(lines)


def _of_knowledge(knowledge: Knowledge, maker: str, year: int | None) -> Iterator[str]:
    """A line for each run of years and schema, and one for each of its boxes."""
    rows = np.flatnonzero(knowledge.makers == maker.encode())
    links = knowledge.links[np.isin(knowledge.links[:, 0], rows)]
    if year is not None:
        links = links[(links[:, 2] <= year) & (year <= links[:, 3])]
    for first, last, schema in sorted((first, last, schema) for _, schema, first, last in links.tolist()):
        boxes = knowledge.boxes[knowledge.first_box[schema] : knowledge.first_box[schema + 1]]
        plants = chars_of(int(knowledge.sets[knowledge.schema_plants[schema]]))
        years = f"{first}" if first == last else f"{first}-{last}"
        what = f"{len(boxes):,} pattern{'s' * (len(boxes) != 1)}" if len(boxes) else "positions 4 to 8 not told"
        yield f"{maker}  {years:<9}  {what}; plants: {plants or 'not told'}"
        patterns = ["".join(_pattern(int(knowledge.sets[row])) for row in box) for box in boxes]
        yield from _wrapped(patterns)


def _of_register(register: Register, maker: str, year: int | None) -> Iterator[str]:
    """A line for each descriptor and year: how many VINs, and of which plants."""
    labels = [label_of(char) for char in maker[:3]]
    wanted = (register.heads[:, :3] == labels).all(1)
    if year is not None:
        code = year_code(year)
        wanted &= register.heads[:, 8] == (NUM_CLASSES if code is None else label_of(code))
    heads, counts = register.heads[wanted], register.counts[wanted]
    if not len(heads):
        return
    yield f"{maker[:3]}  {counts.sum():,} VINs"
    starts = np.flatnonzero(np.append(True, (heads[1:, :9] != heads[:-1, :9]).any(1)))
    for start, end in zip(starts, [*starts[1:], len(heads)], strict=True):
        code = CHARSET[heads[start, 8]]
        years = " or ".join(str(number) for number in _all_years() if year_code(number) == code)
        plants = ", ".join(f"{CHARSET[heads[row, 9]]} {counts[row]:,}" for row in range(start, end))
        descriptor = "".join(CHARSET[label] for label in heads[start, 3:8])
        yield f"  {descriptor}  {counts[start:end].sum():>7,}  year {code} ({years or 'none'}); plants: {plants}"


def year_code(year: int) -> str | None:
    """The code of a model year at position 10; None for a year that has none.

    Source: 49 CFR 565.15, table VII.
    """
    return YEAR_CODES[(year - _FIRST_YEAR) % len(YEAR_CODES)] if year in _all_years() else None


def _all_years() -> range:
    return range(_FIRST_YEAR, _FIRST_YEAR + 2 * len(YEAR_CODES))


def chars_of(chars: int) -> str:
    """The characters of a set: bit c is class label c."""
    return "".join(char for label, char in enumerate(CHARSET) if chars >> label & 1)


def _pattern(chars: int) -> str:
    """A set as one writes it in a pattern: ``C``, ``[EF]``, ``[0-9A]``, ``*`` for all."""
    members = chars_of(chars)
    if len(members) == NUM_CLASSES:
        return "*"
    if len(members) == 1:
        return members
    parts = []
    for kind in (CHARSET[:_DIGITS], CHARSET[_DIGITS:]):
        run = ""
        for char in kind + " ":
            if char in members:
                run += char
            else:
                parts.append(f"{run[0]}-{run[-1]}" if len(run) >= _LEAST_RUN else run)
                run = ""
    return f"[{''.join(parts)}]"


def _makers(register: Register) -> tuple[list[str], NDArray[np.int64]]:
    """The codes of a register's makers, three characters each, sorted, and how many VINs each has."""
    makers = register.heads[:, :3]
    starts = np.flatnonzero(np.append(True, (makers[1:] != makers[:-1]).any(1))[: len(makers)])
    codes = ["".join(CHARSET[label] for label in makers[start]) for start in starts]
    return codes, np.add.reduceat(register.counts, starts)


def _wrapped(words: Sequence[str]) -> Iterator[str]:
    line = ""
    for word in words:
        if line and len(line) + len(word) > _WIDTH:
            yield line
            line = ""
        line += f"  {word}"
    if line:
        yield line


def _aligned(rows: dict[str, str]) -> list[str]:
    width = max(map(len, rows))
    return [f"{name:<{width}}  {value}" for name, value in rows.items()]


def _number(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else _shown(value)


def _shown(value: object) -> str:
    """What a header says, on one line whatever it holds."""
    return "not told" if value is None else "".join(char if char.isprintable() else "?" for char in str(value))
