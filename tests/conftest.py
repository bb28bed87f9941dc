"""Settings for all tests."""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

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
