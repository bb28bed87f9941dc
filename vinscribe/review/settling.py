"""Routes of the settle view: cards, their pictures, answers."""

import json
from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Query, Response

from vinscribe.errors import StoreError
from vinscribe.known import mark_of
from vinscribe.review.desk import MARKED, TheDesk, Who, problems
from vinscribe.review.messages import (
    AnswerRequest,
    CardMessage,
    DeadlineMessage,
    LeaseRequest,
    NextMessage,
    NextRequest,
    SettledMessage,
    SettleRequest,
    StateMessage,
    UndoMessage,
    UndoRequest,
)
from vinscribe.review.pictures import strip_shape
from vinscribe.review.records import checked_vin
from vinscribe.vin import VIN_LENGTH

router = APIRouter(tags=["cards"])

CardId = Annotated[int, Path(ge=1, le=2**31 - 1)]

_KEPT = {"Cache-Control": "private, max-age=3600"}
"""A card's pictures only change when it is read anew, and then a little."""


class Png(Response):
    """A PNG picture."""

    media_type = "image/png"


class Jpeg(Response):
    """A JPEG picture."""

    media_type = "image/jpeg"


@router.post("/api/next", dependencies=[MARKED], responses=problems(403))
def next_card(asked: NextRequest, desk: TheDesk, who: Who) -> NextMessage:
    """The next card of the queue for this desk, and the one after it."""
    card = desk.store.next(who, asked.session, asked.skip)
    if card is None:
        return NextMessage(card=None, following=None)
    following = desk.store.peek(who, asked.session, card.id, asked.skip)
    return NextMessage(card=desk.told(card), following=None if following is None else desk.told(following))


@router.get("/api/cards/{card_id}", responses=problems(404))
def card(card_id: CardId, desk: TheDesk) -> CardMessage:
    """Any card, without a lease."""
    return desk.told(desk.store.card(card_id))


@router.get("/api/cards/{card_id}/strip", response_class=Png, responses=problems(404))
def strip(card_id: CardId, desk: TheDesk) -> Png:
    """The VIN field, straightened and upright; the header X-Cells has left and right end of each cell."""
    found = desk.store.card(card_id)
    data = desk.pictures.strip(found)
    shape = strip_shape(found.reading)
    return Png(data, headers={**_KEPT, "X-Cells": json.dumps(shape.cells if shape else [])})


@router.get("/api/cards/{card_id}/cells/{position}", response_class=Png, responses=problems(404))
def cell(card_id: CardId, position: Annotated[int, Path(ge=0, lt=VIN_LENGTH)], desk: TheDesk) -> Png:
    """One cell, by its position from 0."""
    return Png(desk.pictures.cell(desk.store.card(card_id), position), headers=_KEPT)


@router.get("/api/cards/{card_id}/page", response_class=Jpeg, responses=problems(404))
def page(
    card_id: CardId,
    desk: TheDesk,
    width: Annotated[int, Query(ge=50, le=6000)] = 1600,
    turn: Annotated[int, Query(ge=0, le=3, description="more quarter turns, clockwise")] = 0,
    annotated: Annotated[bool, Query(description="1: with what was read drawn in")] = False,
) -> Jpeg:
    """The whole page, turned so that the VIN field is upright; never larger than it is.

    The header X-Field has the field's corners in fractions of the picture's width and height, before ``turn``.
    """
    found = desk.store.card(card_id)
    data = desk.pictures.page(found, width, turn, annotated)
    field = desk.pictures.field_on_page(found)
    return Jpeg(data, headers=_KEPT if field is None else {**_KEPT, "X-Field": json.dumps(field)})


@router.post("/api/cards/{card_id}/settle", dependencies=[MARKED], responses=problems(403, 404, 409))
def settle(card_id: CardId, answer: SettleRequest, desk: TheDesk, who: Who) -> SettledMessage:
    """Give a card its VIN, marked or not. 409: it is on another desk now, or was settled; 422: that is no VIN."""
    try:
        vin = checked_vin(answer.vin)
    except StoreError as error:
        raise HTTPException(422, str(error)) from None
    mark = mark_of(vin)
    outcome = desk.store.settle(card_id, vin, who, answer.lease, answer.keystrokes, answer.seconds)
    return SettledMessage(state=outcome.state, mark=mark)


@router.post("/api/cards/{card_id}/illegible", dependencies=[MARKED], responses=problems(403, 404, 409))
def illegible(card_id: CardId, answer: AnswerRequest, desk: TheDesk, who: Who) -> StateMessage:
    """Say that nobody can read a card."""
    outcome = desk.store.illegible(card_id, who, answer.lease, answer.keystrokes, answer.seconds)
    return StateMessage(state=outcome.state)


@router.post("/api/cards/{card_id}/release", dependencies=[MARKED], status_code=204, responses=problems(403, 404, 409))
def release(card_id: CardId, about: LeaseRequest, desk: TheDesk, who: Who) -> None:
    """Give a card back into the queue."""
    desk.store.release(card_id, who, about.lease)


@router.post("/api/cards/{card_id}/touch", dependencies=[MARKED], responses=problems(403, 404, 409))
def touch(card_id: CardId, about: LeaseRequest, desk: TheDesk, who: Who) -> DeadlineMessage:
    """Renew a card's lease."""
    return DeadlineMessage(deadline=desk.store.touch(card_id, who, about.lease))


@router.post("/api/undo", dependencies=[MARKED], responses=problems(403))
def undo(asked: UndoRequest, desk: TheDesk, who: Who) -> UndoMessage:
    """Take one's own last answer back."""
    found = desk.store.undo(who, asked.session)
    if found is None:
        return UndoMessage(card=None, why="there is no answer of yours to take back")
    return UndoMessage(card=desk.told(found), why=None)
