"""Final VINs with where they come from -> CSV, JSON Lines, XLSX, written while they are sent."""

import csv
import io
import json
import tempfile
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from vinscribe.review.messages import ResultMessage
from vinscribe.review.readings import shown
from vinscribe.review.records import Result

KINDS = {
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/jsonl",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
"""Ending -> media type."""

COLUMNS = tuple(ResultMessage.model_fields)

_CHUNK = 1 << 16
_ROWS_IN_SHEET = 1_000_000  # a sheet holds 1,048,576


def told_result(result: Result) -> ResultMessage:
    """A result as it goes out, the file with its folders."""
    return ResultMessage(
        card=result.card_id,
        file=shown(result.file),
        sha256=result.sha256,
        page=result.page,
        vin=result.vin,
        source=result.source,
        who=result.who,
        at=result.when,
        confidence=result.confidence,
        raw=result.raw,
        model=result.model_hash,
    )


def exported(kind: str, results: Iterator[Result]) -> Iterator[bytes]:
    """The bytes of a file of one of `KINDS`, some at a time."""
    write: Callable[[Iterator[ResultMessage]], Iterator[bytes]] = {"csv": _csv, "jsonl": _jsonl, "xlsx": _xlsx}[kind]
    return write(told_result(result) for result in results)


def _jsonl(results: Iterator[ResultMessage]) -> Iterator[bytes]:
    return _chunks(json.dumps(result.model_dump()) + "\n" for result in results)


def _csv(results: Iterator[ResultMessage]) -> Iterator[bytes]:
    def lines() -> Iterator[str]:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\r\n")
        writer.writerow(COLUMNS)
        for result in results:
            writer.writerow(map(_harmless, _values(result)))
            yield text.getvalue()
            text.seek(0)
            text.truncate()
        yield text.getvalue()

    return _chunks(lines())


def _xlsx(results: Iterator[ResultMessage]) -> Iterator[bytes]:
    from openpyxl import Workbook
    from openpyxl.cell import WriteOnlyCell

    book = Workbook(write_only=True)
    sheet = _sheet(book, 1)
    for number, result in enumerate(results, 1):
        if number % _ROWS_IN_SHEET == 0:
            sheet = _sheet(book, 1 + number // _ROWS_IN_SHEET)
        row = []
        for value in _values(result):
            cell = WriteOnlyCell(sheet, _without_controls(value) if isinstance(value, str) else value)
            if isinstance(value, str):
                cell.data_type = "s"  # text, even where it begins like a formula
            row.append(cell)
        sheet.append(row)
    with tempfile.TemporaryFile() as file:
        book.save(file)
        file.seek(0)
        while block := file.read(_CHUNK):
            yield block


def _sheet(book: Any, number: int) -> Any:
    sheet = book.create_sheet(f"VINs {number}")
    sheet.append(COLUMNS)
    return sheet


def _values(result: ResultMessage) -> list[str | int | float | None]:
    return [getattr(result, name) for name in COLUMNS]


def _harmless(value: str | int | float | None) -> str | int | float | None:
    """Spreadsheets take text that begins like a formula for one, from CSV too. Source: OWASP, CSV injection."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


def _without_controls(text: str) -> str:
    """XML has no control characters; in names of files they are possible."""
    return "".join(char if char >= " " else f"\\x{ord(char):02x}" for char in text)


def _chunks(texts: Iterable[str]) -> Iterator[bytes]:
    """Texts in pieces worth sending."""
    waiting: list[str] = []
    length = 0
    for text in texts:
        waiting.append(text)
        length += len(text)
        if length >= _CHUNK:
            yield "".join(waiting).encode()
            waiting, length = [], 0
    yield "".join(waiting).encode()
