"""The dissector in Wireshark's own hands: for every sample it says what our parser says."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from dissected import ALL_SEGMENTS, Row, rows
from test_samples import SAMPLES, Sample, every_sample

from amtdiag.model import Diagnosis, HelloRecord
from amtdiag.pipeline import diagnose
from amtdiag.wireshark.dissector import lua_source


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lua") / "intelamt.lua"
    path.write_text(lua_source(), encoding="ascii")
    return path


ALIKE = "recorded/h1_"
"""Recordings of the same connection: behind each other, tshark takes one for a retransmission of the other."""


class Joined(NamedTuple):
    """Samples one behind the other, as tshark reads them with the dissector."""

    rows: list[Row]
    first: dict[tuple[str, str], int]
    """By sample and file: how many frames stand before its own."""


@pytest.fixture(scope="module")
def read_all(
    tshark: Path, script: Path, need: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> list[Joined]:
    """Few runs of tshark over all samples: to start it takes longer than what it does here."""
    apart = [[sample] for sample in SAMPLES if sample.name.startswith(ALIKE)]
    together = [sample for sample in SAMPLES if not sample.name.startswith(ALIKE)]
    folder, mergecap = tmp_path_factory.mktemp("joined"), need("mergecap")
    return [_join(samples, folder, tshark, script, mergecap) for samples in (together, *apart)]


def _join(samples: list[Sample], folder: Path, tshark: Path, script: Path, mergecap: Path) -> Joined:
    target = folder / "all.pcapng"
    places = [(sample, name, path) for sample in samples for name, path in sample.files.items()]
    merge = [mergecap, "-a", "-w", target, *(path for *_, path in places)]
    subprocess.run(merge, check=True, capture_output=True, timeout=120)
    first, count = {}, 0
    for sample, name, _ in places:
        first[sample.name, name] = count
        count += sample.expected["packets"][name]
    return Joined(list(rows(tshark, script, target, *ALL_SEGMENTS)), first)


@pytest.fixture
def joined(sample: Sample, read_all: list[Joined]) -> Joined:
    """The run that has a sample among its own."""
    return next(one for one in read_all if any(name == sample.name for name, _ in one.first))


def mine(joined: Joined, sample: Sample) -> dict[int, Row]:
    """The rows of one sample."""
    first = min(joined.first[sample.name, name] for name in sample.files)
    last = first + sum(sample.expected["packets"].values())
    return {row.frame: row for row in joined.rows if first < row.frame <= last}


def last_view(record: HelloRecord, found: dict[int, Row], before: dict[str, int]) -> Row:
    """What the dissector says of a Hello once it has seen all of its connection."""
    frames = [before[one.file] + one.frame for one in record.event.evidence]
    streams = {found[frame].stream for frame in frames if frame in found}
    assert streams, f"no row for frames {frames}"
    return [row for row in found.values() if row.stream in streams][-1]


def number(text: str | None) -> int | None:
    return None if text is None else int(text, 0)


def truth(text: str | None) -> bool | None:
    return None if text is None else text in ("1", "True")


def told(row: Row) -> dict[str, Any]:
    """What the dissector says, in our words."""
    values = row.values
    return {
        "version": number(row.one("intelamt.version")),
        "type": row.one("intelamt.type"),
        "flag": number(row.one("intelamt.flag")),
        "retry": number(row.one("intelamt.retry")),
        "uuid": row.one("intelamt.uuid"),
        "pid": row.one("intelamt.pid"),
        "pid_ok": truth(row.one("intelamt.pid.ok")),
        "declared": number(row.one("intelamt.digests")),
        "index": [int(one) for one in values["intelamt.digest.index"]],
        "algorithm_id": [int(one) for one in values["intelamt.digest.algorithm_id"]],
        "algorithm": values["intelamt.digest.algorithm"],
        "length": [int(one) for one in values["intelamt.digest.length"]],
        "value": [one.replace(":", "") for one in values["intelamt.digest.value"]],
        "name": values["intelamt.digest.name"],
        "verdict": values["intelamt.digest.verdict"],
        "verdicts": values["intelamt.digest.verdicts"],
        "complete": truth(row.one("intelamt.complete")),
        "missing": number(row.one("intelamt.missing")),
        "trailing": number(row.one("intelamt.trailing")),
        "problems": values["intelamt.problem"],
    }


def ours(record: HelloRecord) -> dict[str, Any]:
    """The same of our parse."""
    hello, digests = record.event.hello, record.digests
    return {
        "version": hello.version,
        "type": hello.type,
        "flag": hello.admin_credentials,
        "retry": hello.retry_count,
        "uuid": hello.uuid,
        "pid": hello.pid,
        "pid_ok": hello.pid_check_ok,
        "declared": hello.declared_digests,
        "index": [one.digest.index for one in digests],
        "algorithm_id": [one.digest.algorithm_id for one in digests],
        "algorithm": [one.digest.algorithm for one in digests],
        "length": [len(one.digest.value) for one in digests],
        "value": [one.digest.value.hex() for one in digests if one.digest.value],
        "name": [one.name for one in digests if one.name],
        "verdict": [one.verdict for one in digests],
        "verdicts": [", ".join(one.verdicts) for one in digests],
        "complete": hello.complete,
        "missing": hello.missing_bytes,
        "trailing": hello.trailing_bytes,
        # Who cut a message cannot be told while its connection goes on.
        "problems": [
            one.replace(" by the sender:", ":").replace(" by the capture:", ":") for one in hello.problems
        ],
    }


@every_sample
def test_every_hello_reads_as_ours(sample: Sample, joined: Joined) -> None:
    diagnosis: Diagnosis = diagnose([sample.path])
    found = mine(joined, sample)
    before = {str(path): joined.first[sample.name, name] for name, path in sample.files.items()}
    shown: set[int] = set()
    for record in diagnosis.hellos:
        row = last_view(record, found, before)
        shown.add(row.stream)
        assert told(row) == ours(record)
    # And there are no others.
    assert {row.stream for row in found.values()} == shown


def test_no_sample_makes_the_dissector_fail(read_all: list[Joined]) -> None:
    assert [row.frame for one in read_all for row in one.rows if row.values["intelamt.bug"]] == []
    assert sum(len(one.rows) for one in read_all) > 300
