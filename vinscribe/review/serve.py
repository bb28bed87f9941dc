"""What ``vinscribe review`` does: opens the store, starts reading, serves the page until Ctrl-C."""

import argparse
import contextlib
import ipaddress
import logging
import os
import socket
import threading
import webbrowser
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import uvicorn

from vinscribe.archive import ReadSettings
from vinscribe.console import OK, say
from vinscribe.cores import core_count
from vinscribe.errors import UsageError
from vinscribe.knowledge import released
from vinscribe.review.app import create_app
from vinscribe.review.desk import Desk
from vinscribe.review.intake import Intake
from vinscribe.review.security import Access, new_token
from vinscribe.review.store import Store
from vinscribe.review.uploads import Uploads

FOLDER = ".vinscribe"
"""In the archive, for the database and kept uploads; hidden, so that nothing in it is taken for a scan."""

_GRACE_SECONDS = 3


def serve(args: argparse.Namespace, opened: Callable[[str], object] = webbrowser.open) -> int:
    """Runs the command; ``opened`` shows an address in a browser. Returns the exit status."""
    for path in args.archives:
        if not os.path.lexists(path):
            raise UsageError(f"no such file or folder: {path}")
    if args.workers is not None and args.workers < 1:
        raise UsageError(f"--workers {args.workers}: at least one has to work")
    folder = _folder(args.archives) if args.archives else None
    database = args.database or _default_database(folder)
    released()  # whatever is wrong with it is said now, not at the first VIN that somebody types
    settings = ReadSettings(args.model, args.market, args.threshold, args.expected, args.template)
    settings = replace(settings, register=tuple(args.register))
    with _listening(args.host, args.port) as listening:
        access = _access(args.host, listening.getsockname()[1])
        store = Store.opened(database, audit_share=args.audit_share, double_share=args.double_share)
        try:
            intake = Intake(store, args.archives, settings, args.workers or max(1, core_count() - 1))
        except OSError as error:
            raise UsageError(f"cannot read {error.filename}: {error.strerror}") from error
        desk = Desk(store, intake, Uploads(settings), access, folder and folder / FOLDER / "scans")
        say(f"the cards are in {database if '://' not in str(database) else 'a PostgreSQL database'}")
        if access.token is not None:
            say("whoever knows the address with its token can come to this desk; what is sent is not encrypted")
        say(f"the review desk is at {_address(args.host, access)} (Ctrl-C ends it)")
        if not args.no_browser:  # it waits until the server answers
            here = "127.0.0.1" if args.host in ("0.0.0.0", "::") else args.host  # noqa: S104
            threading.Thread(target=opened, args=(_address(here, access),), daemon=True).start()
        logging.getLogger("python_multipart").setLevel(logging.ERROR)  # what is wrong with a form is in the answer
        config = uvicorn.Config(
            create_app(desk),
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listening])
    return OK


def is_loopback(host: str) -> bool:
    """Whether only this computer can reach that address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _access(host: str, port: int) -> Access:
    if is_loopback(host):
        return Access(port=port, hosts=(*Access.hosts, host.lower()))
    return Access(new_token(), port)


def _folder(archives: list[str]) -> Path:
    """The first archive, or where it lies if it is a file."""
    first = Path(archives[0])
    return first if first.is_dir() else first.parent


def _default_database(archive: Path | None) -> str:
    if archive is None:
        raise UsageError("no archive and no database; give one of them, see vinscribe review --help")
    folder = archive / FOLDER
    try:
        folder.mkdir(exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(0, "it is write-protected")
    except OSError as error:
        raise UsageError(
            f"cannot make a database in {folder}: {error.strerror}; say with --database FILE where to"
        ) from None
    return str(folder / "cards.db")


def _listening(host: str, port: int) -> socket.socket:
    """A socket that listens already. Raises UsageError."""
    if not 0 <= port <= 65_535:
        raise UsageError(f"cannot listen at {host}, port {port}: ports go up to 65535; give another --port")
    try:
        family, *_, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(place[:2], family=family)
    except OSError as error:
        reason = error.strerror or error
        raise UsageError(f"cannot listen at {host}, port {port}: {reason}; give another --port, or --host") from None


def _address(host: str, access: Access) -> str:
    name = socket.gethostname() if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host  # noqa: S104
    return f"http://{name}:{access.port}/" + (f"?token={access.token}" if access.token else "")
