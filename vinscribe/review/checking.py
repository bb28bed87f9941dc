"""Routes of the group check: all cells read as one character; and what a VIN says, and what is known of it."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Query

from vinscribe.charset import CHARSET
from vinscribe.known import known, mark_of
from vinscribe.review.desk import MARKED, TheDesk, Who, problems
from vinscribe.review.messages import CheckMessage, GroupCellMessage, GroupRequest, KnownMessage
from vinscribe.vin import describe

router = APIRouter(tags=["checks"])


@router.get("/api/group")
def group_counts(desk: TheDesk) -> dict[str, int]:
    """Character -> how many cells that were read as it nobody has checked yet."""
    return desk.store.group_counts()


@router.get("/api/group/{char}", responses=problems(404))
def group(
    char: Annotated[str, Path(max_length=10)], desk: TheDesk, limit: Annotated[int, Query(ge=1, le=1000)] = 120
) -> list[GroupCellMessage]:
    """The cells read as a character that nobody has checked yet, worst first."""
    if len(char) != 1 or char not in CHARSET:
        raise HTTPException(404, f"no VIN has such a character; there are {CHARSET}")
    return [
        GroupCellMessage(card=cell.card_id, position=cell.position, confidence=cell.confidence)
        for cell in desk.store.group(char, limit)
    ]


@router.post("/api/group", dependencies=[MARKED], status_code=204, responses=problems(403, 404))
def check_group(checked: GroupRequest, desk: TheDesk, who: Who) -> None:
    """Confirm cells, or call them odd; a card with an odd cell gets into the queue."""
    desk.store.check_group(who, checked.confirmed, checked.odd)


@router.get("/api/check/{vin}")
def check(vin: Annotated[str, Path(max_length=100)]) -> CheckMessage:
    """Check digit, maker, country and years of a VIN, and whether its model is known; 422 if it is none."""
    facts = describe(vin)
    if facts.problems:
        hint = f"; perhaps {facts.suggestion}" if facts.suggestion else ""
        raise HTTPException(422, f"no VIN: {'; '.join(facts.problems)}{hint}")
    return CheckMessage(
        check_digit="valid" if facts.check_digit_valid else "invalid",
        expected=facts.check_digit_expected or "",
        applies=bool(facts.check_digit_required),
        maker=facts.maker,
        country=facts.country,
        years=list(facts.years),
        known=KnownMessage(**asdict(known(facts.code))),
        mark=mark_of(facts.code),
    )
