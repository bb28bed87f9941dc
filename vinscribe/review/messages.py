"""What goes over HTTP: the bodies of requests and answers, as the OpenAPI document describes them."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from vinscribe.vin import VIN_LENGTH

CardId = Annotated[int, Field(ge=1, le=2**31 - 1)]
Position = Annotated[int, Field(ge=0, lt=VIN_LENGTH, description="of a cell, from 0")]
Place = tuple[CardId, Position]
Session = Annotated[str, Field(pattern="^[!-~]{1,100}$", description="one open page of a desk")]
Mark = Annotated[str | None, Field(description="'no such model of this maker', or null; a hint, never a refusal")]
Lease = Annotated[str, Field(pattern="^[!-~]{1,100}$", description="of the card, as it came with it")]


class Message(BaseModel):
    """A body. Requests with anything unknown in them are refused."""

    model_config = ConfigDict(extra="forbid")


class Problem(Message):
    """Why not."""

    detail: str = Field(description="a sentence for a person")


class DeskName(Message):
    """Who sits here."""

    name: str = Field(min_length=1, max_length=40)


class DeskMessage(Message):
    """The desk's name as it is kept."""

    desk: str


class NextRequest(Message):
    """Asks for a card."""

    session: Session = "page"
    skip: list[CardId] = Field(default=[], max_length=10_000, description="cards that come last")


class UndoRequest(Message):
    """Takes the last answer back."""

    session: Session = "page"


class LeaseRequest(Message):
    """About a card that is on this desk."""

    lease: Lease


class AnswerRequest(LeaseRequest):
    """An answer, and what it cost."""

    keystrokes: int = Field(default=0, ge=0, le=100_000, description="keys and clicks")
    seconds: float = Field(default=0.0, ge=0, le=1e6, allow_inf_nan=False)


class SettleRequest(AnswerRequest):
    """A VIN for a card."""

    vin: str = Field(max_length=100)


class GroupRequest(Message):
    """Which cells show the character that they were read as, and which do not: (card, position) each."""

    confirmed: list[Place] = Field(default=[], max_length=10_000)
    odd: list[Place] = Field(default=[], max_length=10_000)


class StripShape(Message):
    """The strip's size in pixels, and left and right end of each of its cells in them."""

    width: int
    height: int
    cells: list[tuple[float, float]]


class CardMessage(Message):
    """A card as a desk sees it."""

    id: int
    file: str = Field(description="name of the scan's file")
    page: int
    state: str = Field(description="accepted, open, settled, illegible")
    lease: str | None = Field(description="to be sent with the answer; null if the card is not on this desk")
    deadline: str | None = Field(description="until when the lease lasts, UTC")
    reading: dict[str, Any] = Field(description="what `vinscribe read --format jsonl` prints, but for its judgement")
    open: list[Position] = Field(description="cells that a person has to fill")
    choices: dict[Position, list[str]] = Field(description="of open cells: likely characters, in alphabetical order")
    checked: list[Position] = Field(description="cells that the group check found right")
    odd: list[Position] = Field(description="cells that it found wrong")
    strip: StripShape | None = Field(description="null without a field")


class NextMessage(Message):
    """The next card, and the one after it, both leased: so the page can fetch its pictures beforehand."""

    card: CardMessage | None
    following: CardMessage | None


class UndoMessage(Message):
    """The card that was taken back, leased again."""

    card: CardMessage | None
    why: str | None = Field(description="why there is none")


class StateMessage(Message):
    """Where a card stands after an answer."""

    state: str


class SettledMessage(StateMessage):
    """Where a card stands after its VIN was given, and what is odd about that VIN."""

    mark: Mark


class DeadlineMessage(Message):
    """Until when a lease lasts, UTC."""

    deadline: str


class CountsMessage(Message):
    """How many cards there are; leased and no_field are among the open ones, failed pages are no cards."""

    accepted: int
    open: int
    leased: int
    settled: int
    illegible: int
    no_field: int
    failed: int
    total: int


class AuditMessage(Message):
    """Error of automatic acceptance: of the cards checked so many were wrong; 95 % interval of the share."""

    checked: int
    wrong: int
    low: float
    high: float


class IntakeMessage(Message):
    """How far reading new scans has come."""

    done: int = Field(description="files")
    total: int | None = Field(description="files; null while they are being counted")
    pages: int
    rate: float = Field(description="pages a second")
    running: bool
    error: str | None = Field(description="why reading could not go on")
    problems: int = Field(description="files and folders that could not be opened at all")


class OverviewMessage(Message):
    """The desk's name (null until it has one), the counts, the audit's result, the progress."""

    desk: str | None
    version: str
    counts: CountsMessage
    audit: AuditMessage
    reading: IntakeMessage


class GroupCellMessage(Message):
    """A cell to be checked."""

    card: int
    position: int
    confidence: float


class KnownMessage(Message):
    """What is known of a VIN's maker and model; null where nothing is."""

    maker: bool = Field(description="whether the maker is known")
    years: list[int] = Field(description="model years that it can stand for and of which the maker's models are known")
    descriptor: bool | None = Field(description="whether positions 4 to 8 are listed for one of these years")
    plant: bool | None = Field(description="whether position 11 is a plant that the maker named for one of them")


class CheckMessage(Message):
    """What a VIN says by itself, and what is known of it."""

    check_digit: str = Field(description="valid or invalid")
    expected: str = Field(description="the check digit by the rule")
    applies: bool = Field(description="whether all makers of its country must write one")
    maker: str | None
    country: str | None
    years: list[int]
    known: KnownMessage
    mark: Mark


class ThresholdMessage(Message):
    """What a threshold would have meant: cards for people; of ``known`` accepted cards so many errors."""

    threshold: float
    people: int
    errors: int
    known: int


class ResultMessage(Message):
    """A final VIN and where it comes from."""

    card: int
    file: str
    sha256: str
    page: int
    vin: str | None
    source: str = Field(
        description="accepted by the reader, settled by a person, double: by people who agree, illegible to people"
    )
    who: str | None
    at: str | None = Field(description="UTC")
    confidence: float
    raw: str | None
    model: str = Field(description="SHA-256 of the model file")


class ResultsMessage(Message):
    """Some results, and what to ask for next as ``after``; null at the end."""

    results: list[ResultMessage]
    next: int | None


class QueueCardMessage(Message):
    """A card that waits for a person."""

    card: int
    file: str
    page: int
    confidence: float
    leased: bool = Field(description="on a desk now")


class FailureMessage(Message):
    """A page, or a whole file or folder, that could not be read."""

    file: str
    page: int | None
    error: str


class ReadMessage(Message):
    """What was read of an uploaded scan: the readings of its pages, and those that could not be read."""

    pages: list[dict[str, Any]] = Field(description="what `vinscribe read --format jsonl` prints")
    failures: list[FailureMessage]
    cards: list[int] = Field(description="numbers of the cards, if the scan was kept")
