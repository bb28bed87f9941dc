"""The review desk's application: routes, the page, errors."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from fastapi.telemetry import TelemetryConfig
from starlette.types import ASGIApp

from vinscribe import __version__
from vinscribe.errors import ImageError, StoreError, VinscribeError
from vinscribe.review import checking, office, settling
from vinscribe.review.desk import MARKED, Desk, TheDesk, problems
from vinscribe.review.messages import (
    AuditMessage,
    CountsMessage,
    DeskMessage,
    DeskName,
    IntakeMessage,
    OverviewMessage,
)
from vinscribe.review.records import LeaseLost, NoSuchCard
from vinscribe.review.security import Guard
from vinscribe.review.uploads import Busy

PAGE = Path(__file__).parent / "page"

_STATUSES: tuple[tuple[type[VinscribeError], int], ...] = (
    (LeaseLost, 409),
    (NoSuchCard, 404),
    (ImageError, 404),
    (StoreError, 503),
    (Busy, 503),
    (VinscribeError, 500),
)

# FastAPI would report every request to where the environment's OTEL_ variables say.
_NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}

_DESCRIPTION = """\
People settle what the reader doubts; other programs read scans and fetch results.

Every POST wants the header `X-Vinscribe: 1`. Where the desk is open to other computers, every request wants the token
that was printed when it started: `Authorization: Bearer TOKEN`.
"""


def create_app(desk: Desk) -> ASGIApp:
    """The application; it starts the desk's intake, and ends all of the desk when it ends."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        desk.intake.start()
        yield
        desk.intake.stop()
        desk.uploads.close()
        desk.store.close()

    app = FastAPI(
        title="vinscribe review",
        version=__version__,
        description=_DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,  # these pages would fetch scripts from elsewhere
        redoc_url=None,
        telemetry=_NO_TELEMETRY,
        responses=problems(401, 403, 422),
    )
    app.state.desk = desk
    for router in (settling.router, checking.router, office.router):
        app.include_router(router)
    app.add_api_route("/api/state", state, methods=["GET"], tags=["desk"])
    app.add_api_route("/api/desk", name_desk, methods=["POST"], tags=["desk"], dependencies=[MARKED])
    app.add_api_route("/", page, methods=["GET"], include_in_schema=False)
    app.mount("/static", StaticFiles(directory=PAGE), name="static")
    app.add_exception_handler(VinscribeError, _refused)
    app.add_exception_handler(RequestValidationError, _misunderstood)
    return Guard(app, desk.access)  # around everything, even what is said of unforeseen errors


def state(request: Request, desk: TheDesk) -> OverviewMessage:
    """How things stand."""
    progress = desk.intake.progress()
    return OverviewMessage(
        desk=desk.name(request),
        counts=CountsMessage(**asdict(desk.store.counts())),
        audit=AuditMessage(**asdict(desk.store.audit())),
        reading=IntakeMessage(**asdict(progress), problems=len(desk.intake.problems)),
        version=__version__,
    )


def name_desk(named: DeskName, desk: TheDesk, response: Response) -> DeskMessage:
    """Say who sits here; kept in a cookie until the browser is closed."""
    try:
        return DeskMessage(desk=desk.put_name(response, named.name))
    except StoreError as error:
        raise HTTPException(422, str(error)) from None


def page() -> FileResponse:
    """The page."""
    return FileResponse(PAGE / "index.html")


def _refused(_: Request, error: Exception) -> JSONResponse:
    """What vinscribe refuses, as a `Problem`."""
    status = next(status for kind, status in _STATUSES if isinstance(error, kind))
    return JSONResponse({"detail": str(error)}, status)


def _misunderstood(_: Request, error: Exception) -> JSONResponse:
    """What is wrong with a request, as a `Problem`, without what was in it."""
    wrong = error.errors() if isinstance(error, RequestValidationError) else []
    found = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in wrong[:5]]
    return JSONResponse({"detail": ascii("; ".join(found))[1:-1]}, 422)
