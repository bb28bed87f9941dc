"""What the routes share: the store, the pictures, who asks, and how a card is told."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote, unquote

from fastapi import Depends, Header, HTTPException, Request, Response

from vinscribe.errors import StoreError
from vinscribe.review.doubts import OPEN_BELOW, choices, open_positions
from vinscribe.review.intake import Intake
from vinscribe.review.messages import CardMessage, Problem, StripShape
from vinscribe.review.pictures import Pictures, strip_shape
from vinscribe.review.readings import shown_name
from vinscribe.review.records import Card, checked_name
from vinscribe.review.security import Access
from vinscribe.review.store import Store
from vinscribe.review.uploads import Uploads

_JUDGEMENT = ("decision", "reason")
"""Of a reading: not for the eyes of who settles the card."""


@dataclass
class Desk:
    """The parts of a review desk.

    Attributes:
        store: where the cards are.
        intake: reads new scans.
        uploads: reads scans that other programs send.
        access: who may ask.
        keep: folder for uploaded scans that are to be kept; None where there is none.
        open_below: characters with less confidence are left open.
    """

    store: Store
    intake: Intake
    uploads: Uploads
    access: Access = field(default_factory=Access)
    keep: Path | None = None
    open_below: float = OPEN_BELOW
    pictures: Pictures = field(default_factory=Pictures)

    @property
    def cookie(self) -> str:
        """Name of the cookie with the desk's name."""
        return f"vinscribe_desk_{self.access.port}"

    def told(self, card: Card) -> CardMessage:
        """A card for a browser: nothing in it says whether it was accepted and is audited, or what others answered."""
        shape = strip_shape(card.reading)
        confirmed, odd = (
            [place for place, right in sorted(card.checked.items()) if right is way] for way in (True, False)
        )
        positions = open_positions(card.reading, confirmed, odd, self.open_below)
        with_choices = positions if card.reading["cells"] else []
        return CardMessage(
            id=card.id,
            file=shown_name(card.scan_path),
            page=card.page,
            state=card.state,
            lease=card.lease,
            deadline=card.until,
            reading={name: value for name, value in told_reading(card.reading).items() if name not in _JUDGEMENT},
            open=positions,
            choices={position: choices(card.reading, position, position in odd) for position in with_choices},
            checked=confirmed,
            odd=odd,
            strip=None
            if shape is None
            else StripShape(width=shape.width, height=shape.height, cells=list(shape.cells)),
        )

    def put_name(self, response: Response, name: str) -> str:
        """Set the cookie with the desk's name; raises StoreError where it is none."""
        name = checked_name(name.strip())
        response.set_cookie(self.cookie, quote(name), httponly=True, samesite="strict")
        return name

    def name(self, request: Request) -> str | None:
        """The name of the desk that asks; None if it has none, or no proper one."""
        try:
            return checked_name(unquote(request.cookies.get(self.cookie, "")))
        except StoreError:
            return None


def told_reading(reading: dict[str, Any]) -> dict[str, Any]:
    """A reading for a browser: the file by its name only."""
    return {**reading, "file": shown_name(reading["file"])}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For the OpenAPI document: answers that are a `Problem`."""
    return {status: {"model": Problem} for status in statuses}


def the_desk(request: Request) -> Desk:
    """The desk of the application that was asked."""
    desk: Desk = request.app.state.desk
    return desk


TheDesk = Annotated[Desk, Depends(the_desk)]


def _who(request: Request, desk: TheDesk) -> str:
    name = desk.name(request)
    if name is None:
        raise HTTPException(403, "say who you are first: POST /api/desk")
    return name


Who = Annotated[str, Depends(_who)]


def _marked(x_vinscribe: Annotated[str, Header(description="1: with every POST")]) -> None:
    """`vinscribe.review.security` looks at it; here it is only for the OpenAPI document."""


MARKED = Depends(_marked)

__all__ = ["MARKED", "Desk", "TheDesk", "Who", "problems", "told_reading"]
