"""A PostgreSQL server of our own, in a temporary folder, for tests and benchmarks."""

import atexit
import contextlib
import functools
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

_DEBIAN = Path("/usr/lib/postgresql")
_LOG_END = 2000


def find_programs() -> Path | None:
    """The folder of ``initdb`` and ``pg_ctl``; None if PostgreSQL is not installed."""
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    installed = sorted(_DEBIAN.glob("*/bin/initdb"), key=lambda path: float(path.parent.parent.name))
    return installed[-1].parent if installed else None


_HASTY = " -c fsync=off -c full_page_writes=off -c synchronous_commit=off"


@contextlib.contextmanager
def postgresql_server(programs: Path, *, hasty: bool = False) -> Iterator[str]:
    """Run a server on a free port of 127.0.0.1; its URL, to which the name of a database is added.

    A hasty one does not wait for the disk: a power cut would lose what it said was done, and no test cuts the power.

    The server refuses to run as root: it is run as ``postgres``, or else as ``nobody``, then.
    """
    with tempfile.TemporaryDirectory(prefix="vinscribe-postgresql-") as folder:
        data, log = Path(folder, "data"), Path(folder, "log")
        as_user = _unprivileged(folder)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]

        def run(program: str, *args: str) -> None:
            # Its output goes to a file: the server keeps what it was given open.
            with Path(folder, "out").open("ab") as out:
                command = [*as_user, str(programs / program), *args]
                done = subprocess.run(command, cwd=folder, stdout=out, stderr=out, check=False, timeout=120)
            if done.returncode:
                said = "".join(path.read_text()[-_LOG_END:] for path in (Path(folder, "out"), log) if path.exists())
                raise RuntimeError(f"{program} failed with {done.returncode}: {said}")

        initdb = ("-D", str(data), "-U", "vinscribe", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
        run("initdb", *initdb)
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=100"
        options += _HASTY if hasty else ""
        run("pg_ctl", "-D", str(data), "-l", str(log), "-o", options, "-w", "start")
        try:
            yield f"postgresql+psycopg://vinscribe@127.0.0.1:{port}/"
        finally:
            run("pg_ctl", "-D", str(data), "-m", "immediate", "-w", "stop")


@functools.cache
def shared_server() -> str | None:
    """The URL of a server that runs until this process ends; None if PostgreSQL is not installed."""
    programs = find_programs()
    if programs is None:
        return None
    running = contextlib.ExitStack()
    url = running.enter_context(postgresql_server(programs, hasty=True))
    atexit.register(running.close)  # after the temporary folder's own: the last one registered is the first to run
    return url


def new_database(server: str, name: str) -> str:
    """The URL of a new, empty database; one of this name that is there is dropped."""
    from sqlalchemy import create_engine, text

    engine = create_engine(server + "postgres", isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f'DROP DATABASE IF EXISTS "{name}"'))
        connection.execute(text(f'CREATE DATABASE "{name}"'))
    engine.dispose()
    return server + name


def _unprivileged(folder: str) -> list[str]:
    """What a command is preceded by to be run as another user than root; that user gets the folder."""
    if os.geteuid() != 0:
        return []
    import pwd

    names = {user.pw_name for user in pwd.getpwall()}
    user = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
    os.chown(folder, user.pw_uid, user.pw_gid)
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
