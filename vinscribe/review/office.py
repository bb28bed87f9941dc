"""Routes for the office and for other programs: results, exports, the queue, reading a scan."""

from collections.abc import Iterator
from typing import Annotated, Literal

from fastapi import APIRouter, HTTPException, Path, Query, UploadFile
from fastapi.responses import StreamingResponse

from vinscribe.review.corrections import corrections_zip
from vinscribe.review.desk import MARKED, TheDesk, problems, told_reading
from vinscribe.review.export import KINDS, exported, told_result
from vinscribe.review.messages import (
    FailureMessage,
    QueueCardMessage,
    ReadMessage,
    ResultsMessage,
    ThresholdMessage,
)
from vinscribe.review.readings import shown, shown_name
from vinscribe.review.tables import ACCEPTED, ILLEGIBLE, SETTLED
from vinscribe.review.uploads import read_upload

router = APIRouter(tags=["office"])

STEPS = tuple(round(1 - 10 ** (-step / 10), 6) for step in range(3, 51))
"""Thresholds from 0.5 to 0.99999, closer and closer."""

Illegible = Annotated[bool, Query(description="1: cards that people cannot read, too; they have no VIN")]
After = Annotated[int, Query(ge=0, le=2**31 - 1, description="begin behind the card of this number")]


def _download(content: Iterator[bytes], name: str, kind: str) -> StreamingResponse:
    """A file that is written while it is sent."""
    return StreamingResponse(
        content, media_type=kind, headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )


@router.get("/api/thresholds")
def thresholds(desk: TheDesk) -> list[ThresholdMessage]:
    """What other thresholds of acceptance would have meant, on what was settled so far."""
    return [
        ThresholdMessage(threshold=step.threshold, people=step.people, errors=step.wrong, known=step.known)
        for step in desk.store.thresholds(STEPS)
    ]


@router.get("/api/results")
def results(
    desk: TheDesk,
    after: After = 0,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
    illegible: Illegible = False,
) -> ResultsMessage:
    """Accepted and settled VINs, by the numbers of their cards."""
    found = [told_result(result) for result in desk.store.results(after, limit, _states(illegible))]
    return ResultsMessage(results=found, next=found[-1].card if len(found) == limit else None)


@router.get("/api/queue")
def queue(
    desk: TheDesk, after: After = 0, limit: Annotated[int, Query(ge=1, le=10_000)] = 100
) -> list[QueueCardMessage]:
    """The cards that wait for a person, in order."""
    return [
        QueueCardMessage(
            card=waiting.card_id,
            file=shown_name(waiting.path),
            page=waiting.page,
            confidence=waiting.confidence,
            leased=waiting.leased,
        )
        for waiting in desk.store.queue(limit, after)
    ]


@router.get("/api/failures")
def failures(desk: TheDesk) -> list[FailureMessage]:
    """Pages, files and folders that could not be read."""
    stored = [
        FailureMessage(file=shown(failure.path), page=failure.page, error=shown(failure.error))
        for failure in desk.store.failures()
    ]
    unopened = [FailureMessage(file=shown(path), page=None, error=shown(error)) for path, error in desk.intake.problems]
    return stored + unopened


@router.get("/api/export.{kind}", response_class=StreamingResponse)
def export(
    kind: Annotated[Literal["csv", "jsonl", "xlsx"], Path()], desk: TheDesk, illegible: Illegible = False
) -> StreamingResponse:
    """All accepted and settled VINs with where they come from."""
    found = desk.store.results(states=_states(illegible))
    return _download(exported(kind, found), f"vins.{kind}", KINDS[kind])


def _states(illegible: bool) -> tuple[str, ...]:
    return (ACCEPTED, SETTLED, ILLEGIBLE) if illegible else (ACCEPTED, SETTLED)


@router.get("/api/corrections.zip", response_class=StreamingResponse)
def corrections(desk: TheDesk) -> StreamingResponse:
    """The cells of all cards that people settled, with labels.csv: for `vinscribe evaluate --cells`, and training."""
    return _download(corrections_zip(desk.store, desk.pictures), "corrections.zip", "application/zip")


@router.post("/api/read", dependencies=[MARKED], responses=problems(403, 409, 413, 503))
def read(
    scan: UploadFile, desk: TheDesk, keep: Annotated[bool, Query(description="1: make cards of it")] = False
) -> ReadMessage:
    """Read a scan: a PNG, JPEG, BMP, WebP, TIFF or PDF file of up to 64 MiB and 50 pages.

    422: nothing of it could be read; 503: others are waiting already.
    """
    if keep and desk.keep is None:
        raise HTTPException(409, "there is no folder for scans here; start vinscribe review with an archive")
    kept = desk.keep if keep else None
    upload = read_upload(scan.file, scan.filename or "", desk.uploads, kept)
    whole = [error for page, error in upload.failures if page is None]
    if whole and not upload.readings:
        raise HTTPException(422, shown(whole[0]))
    cards = []
    if upload.kept is not None:
        engine = desk.intake.engine
        cards = desk.store.add(
            *(upload.kept, upload.sha256, upload.size_bytes, upload.readings, upload.failures),
            *(engine.model_hash, engine.settings),
        )
    return ReadMessage(
        pages=[told_reading(reading) for reading in upload.told()],
        failures=[FailureMessage(file=upload.name, page=page, error=shown(error)) for page, error in upload.failures],
        cards=cards,
    )
