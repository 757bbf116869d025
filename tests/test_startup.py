"""What a run does not import: a big library that nobody needs would be most of the time it takes."""

from __future__ import annotations

import subprocess
import sys

import pytest
from helpers import HELLO_ONLY, SAMPLES

HEAVY = {
    "cryptography", "dask", "distributed", "fsspec", "jinja2", "lxml", "matplotlib", "numpy", "pandas",
    "pyarrow", "pydantic", "pyshark", "rich", "scapy", "textual",
}  # fmt: skip
SAY_WHAT_IS_LOADED = """
import sys
from amtdiag.cli.main import main
code = main(sys.argv[1:])
print(*sys.modules, file=sys.stderr)
sys.exit(code)
"""
ARGPARSE_ALONE = """
import argparse, sys
parser = argparse.ArgumentParser()
parser.add_argument("--version", action="version", version="1")
try:
    parser.parse_args()
except SystemExit:
    print(*sys.modules, file=sys.stderr)
"""


def modules_after(*words: object, code: str = SAY_WHAT_IS_LOADED) -> set[str]:
    """The modules that a command leaves loaded."""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, words)], capture_output=True, check=True, text=True, timeout=60
    )
    return set(done.stderr.split())


@pytest.mark.parametrize(
    "words",
    [
        ["analyze", "--json", HELLO_ONLY],
        ["analyze", "--jsonl", HELLO_ONLY],
        ["analyze", "--json", SAMPLES / "routed-five.pcapng.gz", "--fail-on", "never"],
        ["hellos", "--jsonl", HELLO_ONLY],
        ["hello", "decode", "--json", "01000200" + "00" * 20 + b"0000037M".hex()],
        ["roots"],
        ["roots", "--json"],
        ["analyze", "--help"],
        ["live", "--help"],
        ["listen", "--help"],
        ["simulate", "device", "--help"],
        ["simulate", "device", "--server", "127.0.0.1", "--dry-run"],
    ],
    ids=lambda words: " ".join(getattr(word, "name", word)[:16] for word in words),
)
def test_no_heavy_library_without_need(words: list[object]) -> None:
    assert modules_after(*words).isdisjoint(HEAVY)


def test_the_text_report_needs_rich_alone() -> None:
    assert modules_after("analyze", HELLO_ONLY) & HEAVY == {"rich"}


def test_version_is_there_at_once() -> None:
    # From Python 3.14 on, argparse itself needs dataclasses to print anything in colour.
    loaded = modules_after("--version") - modules_after("--version", code=ARGPARSE_ALONE)
    assert loaded.isdisjoint({"dataclasses", "amtdiag.pipeline", "amtdiag.model", "typing"} | HEAVY)


def test_importing_the_package_imports_nothing_else() -> None:
    code = "import sys; before = set(sys.modules); import amtdiag"
    assert modules_after(code=f"{code}; print(*set(sys.modules) - before, file=sys.stderr)") == {
        "amtdiag",
        "amtdiag._version",
    }
