"""The scenarios: they write what is committed, they say what they need, and they can be told apart."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from test_samples import FOLDER, SUFFIX

from amtdiag.errors import MissingToolError, UsageError
from scenarios import packets
from scenarios.__main__ import main

pytest.importorskip("scapy")
from scenarios.scenarios import FIRST_START, SCENARIOS, names, play
from scenarios.write import write

WITHOUT_TLS = (
    "no-connect-back",
    "bad-pid",
    "server-silent",
    "psk-hello",
    "dns-nxdomain",
    "address-changed",
    "gave-up",
    "nat",
    "rmcp-modes",
    "lease-refused",
    "connect-back-rejected",
    "window-closed",
)
"""Here nothing is left to chance: not even a certificate."""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All samples, made anew."""
    folder = tmp_path_factory.mktemp("samples")
    write(folder)
    return folder


@pytest.mark.parametrize("name", names())
def test_what_is_written_is_what_is_committed(name: str, written: Path) -> None:
    """Packet counts, Hellos with the digests of their payloads, frames, truth: all but the bytes of TLS."""
    made, kept = (json.loads((folder / (name + SUFFIX)).read_text()) for folder in (written, FOLDER))
    assert made == kept


@pytest.mark.parametrize("name", WITHOUT_TLS)
def test_without_certificates_even_the_bytes_are_the_same(name: str, written: Path) -> None:
    files = [path.name for path in written.iterdir() if path.name.startswith(name + ".pcap")]
    assert len(files) == 1
    made, kept = ((folder / files[0]).read_bytes() for folder in (written, FOLDER))
    if files[0].endswith(".gz"):  # its header names the system it was made on
        made, kept = gzip.decompress(made), gzip.decompress(kept)
    assert made == kept


def test_the_samples_follow_each_other_within_two_days() -> None:
    spans = [
        (frames[0].ts, frames[-1].ts) for frames in (play(one).trace.ordered() for one in SCENARIOS) if frames
    ]
    assert all(before[1] < after[0] for before, after in pairwise(spans))
    assert spans[-1][1] - FIRST_START < 40 * 60 * packets.MINUTE


def test_no_committed_scenario_is_forgotten() -> None:
    assert {path.name.removesuffix(SUFFIX) for path in FOLDER.glob("*" + SUFFIX)} == set(names())


def test_stories_fit_a_line_and_differ() -> None:
    assert len({scenario.story for scenario in SCENARIOS}) == len(SCENARIOS)
    assert max(len(scenario.story) for scenario in SCENARIOS) < 110


def test_the_readme_lists_every_sample() -> None:
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert [name for name in names() if f"`{name}`" not in text] == []


def test_devices_of_different_samples_never_share_an_identity() -> None:
    seen: dict[Any, str] = {}
    for path in FOLDER.glob("*" + SUFFIX):
        for hello in json.loads(path.read_text())["hellos"]:
            for key in (hello["uuid"], hello["src"]):
                assert seen.setdefault(key, path.name) == path.name


def test_a_hello_crosses_the_boundary_of_two_ring_files() -> None:
    hellos = json.loads((FOLDER / ("ring" + SUFFIX)).read_text())["hellos"]
    assert [len({file for file, _ in hello["frames"]}) for hello in hellos] == [1, 2, 1]


def test_the_fleet_has_successes_and_many_kinds_of_failure() -> None:
    scene = play(next(scenario for scenario in SCENARIOS if scenario.name == "fleet"))
    failures = {(claim.rule, claim.catalogue) for claim in scene.found if claim.severity == "error"}
    assert len(scene.fates) == 25
    assert len(failures) >= 5
    stuck = {claim.device for claim in scene.found if claim.severity == "error"}
    assert 5 <= len(stuck) <= 20
    spread = scene.trace.ordered()[-1].ts - scene.trace.ordered()[0].ts
    assert 100 * packets.MINUTE < spread < 140 * packets.MINUTE


def test_one_scenario_can_be_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "new"), "bad-pid"]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "new" / "bad-pid.expected.json")
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        "bad-pid.expected.json",
        "bad-pid.pcap",
    ]


def test_an_unknown_scenario_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no scenario is called nonsense; there are pki-connects"):
        write(tmp_path, ["nonsense"])
    assert list(tmp_path.iterdir()) == []


def test_without_scapy_one_line_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "scapy", None)
    with pytest.raises(MissingToolError, match=r"pip install amtdiag\[scapy\]"):
        write(tmp_path)
    assert main([str(tmp_path)]) == MissingToolError.exit_code
    assert capsys.readouterr().err.count("\n") == 1


PACKAGE = os.environ | {"PYTHONPATH": "tests"}


def test_importing_the_scenarios_costs_no_library() -> None:
    code = (
        "import sys, scenarios.write;"
        "print([name for name in ('scapy', 'cryptography', 'pandas') if name in sys.modules])"
    )
    assert (
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | {"PYTHONPATH": "tests"},
        ).stdout
        == "[]\n"
    )
