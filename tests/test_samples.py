"""Every sample is analysed, and what comes out is held to what its expected.json says beforehand.

The expectations come from the scenario that wrote a sample, or from what tshark and the recorded server said
of a recording: never from amtdiag. Their format is described in sample_pcaps/README.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from amtdiag.cli.main import main
from amtdiag.rules.catalogue import RULES, catalogue_rows

FOLDER = Path(__file__).parent.parent / "sample_pcaps"
SUFFIX = ".expected.json"
KEYS = (
    "src",
    "dst",
    "sport",
    "dport",
    "version",
    "type",
    "retry_count",
    "uuid",
    "pid",
    "admin_credentials_raw",
)
"""What a Hello is compared by, besides its time, digests and frames."""


@dataclass(frozen=True)
class Sample:
    """A capture, or a folder of captures, and the truth about it."""

    name: str
    path: Path
    expected: Mapping[str, Any]

    @property
    def files(self) -> dict[str, Path]:
        """The capture files by their names."""
        home = self.path if self.path.is_dir() else self.path.parent
        return {name: home / name for name in self.expected["packets"]}

    def digests(self, hello: Mapping[str, Any]) -> list[str]:
        digests: list[str] = self.expected["digest_lists"][hello["digests"]]
        return digests


def find_samples(folder: Path) -> list[Sample]:
    """The samples of a folder and of the folders in it."""
    samples = []
    for truth in sorted(folder.rglob("*" + SUFFIX)):
        name = truth.name.removesuffix(SUFFIX)
        expected = json.loads(truth.read_text(encoding="utf-8"))
        files = list(expected["packets"])
        path = truth.parent / (files[0] if len(files) == 1 else name)
        samples.append(Sample(truth.relative_to(folder).as_posix().removesuffix(SUFFIX), path, expected))
    return samples


SAMPLES = find_samples(FOLDER)
every_sample = pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)


@pytest.fixture
def analysis(sample: Sample, capsys: pytest.CaptureFixture[str]) -> Any:
    """What `analyze --json` prints."""
    code = main(["analyze", "--json", str(sample.path)])
    printed = json.loads(capsys.readouterr().out)
    grave = [one for one in printed["findings"] if one["severity"] in {"error", "critical"}]
    assert code == (1 if grave else 0)
    return printed


def test_there_are_samples_of_both_origins() -> None:
    origins = [sample.expected["origin"] == "amtdiag/simulate" for sample in SAMPLES]
    assert origins.count(True) >= 71
    assert origins.count(False) >= 6


def test_every_capture_has_its_truth() -> None:
    known = {path for sample in SAMPLES for path in sample.files.values()}
    found = {path for path in FOLDER.rglob("*") if ".pcap" in path.name}
    assert found == known


def test_the_samples_stay_small() -> None:
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) < 2_500_000


@every_sample
def test_all_packets_are_counted(sample: Sample, analysis: Any) -> None:
    counted = {Path(one["file"]).name: one["packets"] for one in analysis["captures"]}
    assert counted == sample.expected["packets"]


@every_sample
def test_hellos_are_read_as_they_were_sent(sample: Sample, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["hellos", "--jsonl", str(sample.path)]) == 0
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    wanted = sample.expected["hellos"]
    assert [_identity(one) for one in printed] == [_identity(one) for one in wanted]
    for got, hello in zip(printed, wanted, strict=True):
        assert {key: got[key] for key in KEYS} == {key: hello[key] for key in KEYS}
        if "digests" in hello:
            assert [one["digest"] for one in got["hashes"]] == sample.digests(hello)
        if "ts" in hello:
            assert _nanoseconds(got["ts"]) == hello["ts"]
        shown = {(Path(one["file"]).name, one["frame"]) for one in got["evidence"]}
        fresh, copies = _places(hello["frames"]), _places(hello.get("copies", ()))
        assert fresh <= shown <= fresh | copies


@every_sample
def test_devices_come_as_far_as_they_did(sample: Sample, analysis: Any) -> None:
    assert len(analysis["devices"]) == len(sample.expected["devices"])
    for device in sample.expected["devices"]:
        found = _devices(analysis, device)
        assert len(found) == 1, device
        shown = _shown(found[0])
        told = {key: value for key, value in device.items() if key in shown}
        assert {key: shown[key] for key in told} == told
        assert device.get("firmware", "") in (found[0]["consistent_with"] or "")
        assert [word for word in device.get("hints", ()) if not _says(found[0]["hints"], word)] == []


@every_sample
def test_what_went_wrong_is_found(sample: Sample, analysis: Any) -> None:
    missed = [claim for claim in sample.expected["findings"] if not _matching(analysis, claim)]
    assert missed == [], _rules(analysis)


@every_sample
def test_nothing_else_is_found(sample: Sample, analysis: Any) -> None:
    """Every finding is one that the expectations name, or a hint: there is no list of what must not be."""
    named = [*sample.expected["findings"], *sample.expected.get("also", ())]
    known = {finding["id"] for claim in named for finding in _matching(analysis, claim)}
    hints = set() if sample.expected.get("silent") else {"plain-management", "old-tls", "another-path"}
    if hints and any(hello["type"] == "pki" for hello in sample.expected["hellos"]):
        hints |= {"weak-root", "expired-root"}
    invented = {
        finding["id"]: finding["summary"]
        for finding in analysis["findings"]
        if finding["id"] not in known and not (finding["severity"] == "info" and finding["rule"] in hints)
    }
    invented |= {
        finding["id"]: finding["summary"]
        for claim in sample.expected.get("absent", ())
        for finding in _matching(analysis, claim)
    }
    assert invented == {}


def test_what_the_samples_name_is_in_the_catalogue() -> None:
    rows = catalogue_rows()
    ids = {rule.id for rule in RULES}
    claims = [
        claim
        for sample in SAMPLES
        for key in ("findings", "also", "absent")
        for claim in sample.expected.get(key, ())
    ]
    assert {claim["rule"] for claim in claims if "rule" in claim} <= ids
    assert {claim["catalogue"] for claim in claims if "catalogue" in claim} <= set(rows)
    assert all({"rule", "severity", "catalogue"} & set(claim) for claim in claims)


@pytest.mark.parametrize(
    "sample", [one for one in SAMPLES if "unknowns" in one.expected], ids=lambda sample: sample.name
)
def test_what_cannot_be_told_is_named(sample: Sample, analysis: Any) -> None:
    named = [one["what"] for one in analysis["unknowns"]]
    assert [words for words in sample.expected["unknowns"] if not _says(named, words)] == [], named


@pytest.mark.parametrize(
    "sample", [one for one in SAMPLES if "verdict" in one.expected], ids=lambda sample: sample.name
)
def test_the_verdict_says_so(sample: Sample, analysis: Any) -> None:
    assert sample.expected["verdict"] in analysis["summary"]["verdict"]


def _says(texts: Iterable[str], words: str) -> bool:
    return any(words in text for text in texts)


def _shown(device: Mapping[str, Any]) -> dict[str, Any]:
    """What an expectation may say of a device."""
    return {
        "stage": device["stage"],
        "stages": [one["name"] for one in device["stages"]],
        "mode": device["mode"]["name"],
        "weight": device["mode"]["weight"],
        "suffix": device["suffix"],
        "macs": sorted(device["macs"]),
        "is_amt": device["is_amt"],
    }


def _identity(hello: Mapping[str, Any]) -> tuple[object, ...]:
    return (hello["uuid"], hello["src"], hello["sport"], hello["retry_count"])


def _places(places: Iterable[tuple[str, int]]) -> set[tuple[str, int]]:
    return {(file, frame) for file, frame in places}


def _nanoseconds(text: str) -> int:
    """RFC 3339 with nine digits, more than `datetime` keeps."""
    seconds, fraction = text.removesuffix("Z").split(".")
    return int(datetime.fromisoformat(seconds + "+00:00").timestamp()) * 10**9 + int(fraction)


def _devices(analysis: Any, wanted: Mapping[str, Any]) -> list[Any]:
    """The devices that an expectation speaks of."""
    return [
        device
        for device in analysis["devices"]
        if ("uuid" not in wanted or device["uuid"] == wanted["uuid"])
        and ("ip" not in wanted or wanted["ip"] in device["ips"])
        and ("mac" not in wanted or wanted["mac"] in device["macs"])
    ]


def _matching(analysis: Any, claim: Mapping[str, Any]) -> list[Any]:
    """The findings in which all holds that a claim says."""
    found = [
        finding
        for finding in analysis["findings"]
        if all(finding[key] == claim[key] for key in ("rule", "severity", "catalogue") if key in claim)
    ]
    if not {"uuid", "ip", "mac"}.isdisjoint(claim):
        ids = {device["id"] for device in _devices(analysis, claim)}
        found = [finding for finding in found if finding["device"] in ids]
    return found


def _rules(analysis: Any) -> list[tuple[str, str, str]]:
    return [(one["rule"], one["severity"], one["device"]) for one in analysis["findings"]]
