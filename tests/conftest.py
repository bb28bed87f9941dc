"""Settings for all tests."""

import gc
import os
import warnings
from collections.abc import Iterator
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# The tests' networks are tiny: more threads only wait for each other, very long if the machine is busy. Set before
# anything imports NumPy or PyTorch; subprocesses inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

COMPLETE = "VINSCRIBE_COMPLETE"
"""Set, as by .ci/run: tests may not be skipped because a program or package is not installed."""


@pytest.fixture(scope="session")
def browser() -> Iterator["Browser"]:
    """One Chromium for all tests: starting it takes longer than most of them."""
    from browsers import launched

    with launched() as browser:
        yield browser


@pytest.fixture(scope="session")
def store() -> Iterator[Any]:
    """An S3 server, see `object_store`."""
    for name in ("moto", "flask_cors", "s3fs"):
        if find_spec(name) is None:
            pytest.skip(f"{name} is not installed: needs the extra [cluster] and [dev]")
    from object_store import object_store

    with object_store() as system:
        yield system


@pytest.fixture(scope="session")
def own_ray(store: Any) -> Iterator[None]:
    """A Ray of our own with two cores, which `vinscribe read --ray` finds; its workers know the store."""
    if find_spec("ray") is None:
        pytest.skip("ray is not installed: needs the extra [cluster]")
    from vinscribe.console import quiet_libraries
    from vinscribe.ray_session import start_ray

    context = ExitStack()
    with quiet_libraries(), mock.patch.dict(os.environ, PYTHONPATH=str(Path(__file__).parent)):
        start_ray("", 2, context)
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ray ends its processes, but does not wait for them
        context.close()
        gc.collect()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if not os.environ.get(COMPLETE) or reporter is None:
        return
    reasons = {report.longrepr[2] for report in reporter.stats.get("skipped", []) if isinstance(report.longrepr, tuple)}
    wanting = ("not installed", "could not import", "needs the extra", "needs playwright")
    missing = sorted(reason for reason in reasons if any(words in reason for words in wanting))
    if missing:
        reporter.write_line(f"\n{COMPLETE} is set, and these were skipped: {missing}", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
