"""What all tests share: programs that may be missing, and how Hypothesis searches.

A test that calls a program asks for it through the fixture ``need`` (or ``tshark``, ``capinfos``) or carries
the mark ``@pytest.mark.needs("zstd")``. Where the program is missing, the test is skipped, and the last line
of the run says how many tests each missing program cost. Under ``CI=true`` such a test fails instead: a skip
there would hide a forgotten installation step.

Tests of the compiled kernel carry ``@pytest.mark.needs("compiled-kernel")``. Where nothing was compiled they
are skipped alike, and all others run with the walk in Python. Where it has to be there (``make test`` demands
it if there is a compiler, and CI always) the run does not even begin: almost every test would fail.
"""

from __future__ import annotations

import importlib
import os
import re
import shutil
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from hypothesis import settings

# No test opens a window, whatever the machine has; matplotlib reads this when it is first imported.
os.environ["MPLBACKEND"] = "Agg"

IN_CI = os.environ.get("CI", "").lower() in {"1", "true"}

KERNEL = "compiled-kernel"


def kernel_is_built() -> bool:
    try:
        importlib.import_module("amtdiag.capture.prefilter._kernel")
    except ImportError:
        return False
    return True


HAS_KERNEL = kernel_is_built()
if not HAS_KERNEL:
    # Else every command that a test runs says on standard error that the kernel is missing.
    os.environ.setdefault("AMTDIAG_KERNEL", "python")

# CI repeats the same examples: a change never fails there by bad luck. At a desk every run looks elsewhere.
# Neither has a deadline: a busy machine is no bug.
settings.register_profile("ci", derandomize=True, deadline=None, database=None, print_blob=True)
settings.register_profile("dev", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if IN_CI else "dev"))

# The missing tool travels in the text of the outcome. That reaches the summary from a worker of pytest-xdist,
# and it is still there when pytest repeats the outcome of a fixture with a wider scope for the next test.
MISSING = "missing tool: "
MISSING_PATTERN = re.compile(rf"^(?:(?:Skipped|Failed): )?{MISSING}(\S+)$", re.MULTILINE)


def is_missing(name: str) -> bool:
    return not HAS_KERNEL if name == KERNEL else shutil.which(name) is None


def need_tool(name: str) -> Path:
    """The path of a program; where there is none, the test is skipped (under CI: fails)."""
    path = shutil.which(name)
    if path is not None:
        return Path(path)
    if IN_CI:
        pytest.fail(MISSING + name, pytrace=False)
    pytest.skip(MISSING + name)


@pytest.fixture(scope="session")
def need() -> Callable[[str], Path]:
    """``need("zstd")`` inside a test or fixture: see `need_tool`."""
    return need_tool


@pytest.fixture(scope="session")
def tshark() -> Path:
    """Wireshark's command line, the oracle for what a capture holds."""
    return need_tool("tshark")


@pytest.fixture(scope="session")
def capinfos() -> Path:
    """Wireshark's word on a capture file as a whole."""
    return need_tool("capinfos")


class MissingTools:
    """Collects, in the process that reports, which tests went without which tool, and says so last of all."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.tests: dict[str, set[str]] = {}  # a set: each worker reports a module that skips itself

    def note(self, report: pytest.CollectReport | pytest.TestReport) -> None:
        if report.outcome == "passed":
            return
        longrepr = report.longrepr
        text = str(longrepr[2] if isinstance(longrepr, (tuple, list)) else longrepr)
        if found := MISSING_PATTERN.search(text):
            self.tests.setdefault(found[1], set()).add(report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self.note(report)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.note(report)

    # The terminal reporter prints its summary in a wrapper of this hook: only one around that comes later.
    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self) -> Generator[None, object, object]:
        result = yield
        terminal = self.config.pluginmanager.get_plugin("terminalreporter")
        if self.tests and terminal is not None:
            counts = ", ".join(
                f"{tool} ({len(tests)} test{'s' if len(tests) != 1 else ''})"
                for tool, tests in sorted(self.tests.items())
            )
            terminal.write_line(f"{'failed' if IN_CI else 'skipped'} for want of a tool: {counts}")
        return result


def pytest_configure(config: pytest.Config) -> None:
    if not HAS_KERNEL and (IN_CI or os.environ.get("AMTDIAG_REQUIRE_KERNEL", "") not in {"", "0"}):
        raise pytest.UsageError(
            "the compiled kernel is demanded (AMTDIAG_REQUIRE_KERNEL=1 or CI=true) and was not built: "
            "is there a C compiler with Python's headers, and does amtdiag/capture/prefilter/native compile?"
        )
    config.addinivalue_line(
        "markers", f"needs(tool, ...): programs (or {KERNEL!r}) without which the test cannot run"
    )
    if not hasattr(config, "workerinput"):  # a worker of pytest-xdist reports to another process
        config.pluginmanager.register(MissingTools(config), "amtdiag-missing-tools")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A skip that is known beforehand is listed under the line of its test."""
    for item in items:
        for mark in item.iter_markers("needs"):
            for name in mark.args:
                if is_missing(name) and not IN_CI:
                    item.add_marker(pytest.mark.skip(reason=MISSING + name))


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("needs"):
        for name in mark.args:
            if name != KERNEL:  # without it CI does not come here
                need_tool(name)
