"""`amtdiag compare`: the first difference is the one that matters, and what one side cannot show is none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from helpers import SAMPLES, run

GOOD = SAMPLES / "pki-connects.pcapng"


def compared(*words: str | Path) -> dict[str, Any]:
    ran = run("compare", "--json", *words)
    assert ran.err == ""
    found: dict[str, Any] = json.loads(ran.text)
    assert ran.code == int(any(line["standing"] == "differs" for line in found["lines"]))
    return found


def differing(found: dict[str, Any]) -> list[tuple[str, str]]:
    return [(line["stage"], line["name"]) for line in found["lines"] if line["standing"] == "differs"]


@pytest.mark.parametrize(
    ("bad", "stage", "name", "good_text", "bad_text"),
    [
        ("dns-nxdomain", "resolution", "outcome", "passed", "NXDOMAIN"),
        ("server-refuses", "connection", "outcome", "passed", "refused"),
        ("server-silent", "connection", "outcome", "passed", "unanswered"),
        ("psk-hello", "hello", "type", "PKI", "PSK"),
        ("admin-flag-unset", "hello", "admin credentials", "set", "not set"),
        ("connect-back-refused", "connect-back", "outcome", "passed", "refused"),
        ("no-connect-back", "connect-back", "outcome", "passed", "not reached"),
        ("chain-expired", "tls", "outcome", "passed", "alert 45"),
        ("tls-old-version", "tls", "outcome", "passed", "alert 70"),
    ],
)
def test_the_first_difference_is_where_it_stopped(
    bad: str, stage: str, name: str, good_text: str, bad_text: str
) -> None:
    path = next(SAMPLES.glob(f"{bad}.pcap*"))
    ran = run("compare", GOOD, path)
    assert ran.code == 1
    lines = [line.strip() for line in ran.text.splitlines()]
    at = lines.index(f"First difference, at {stage}: {name}.")
    assert lines[at + 1].startswith(f"good: {good_text}")
    assert bad_text in lines[at + 2]


def test_a_device_is_like_itself(tmp_path: Path) -> None:
    copy = tmp_path / "copy.pcapng"
    copy.write_bytes(GOOD.read_bytes())
    found = compared(GOOD, copy)
    assert differing(found) == []
    assert {line["standing"] for line in found["lines"]} == {"same"}
    assert "No difference" in run("compare", GOOD, copy).text


def test_what_a_capture_does_not_show_is_no_difference() -> None:
    """The server's side of the way knows no lease and no question of the device."""
    found = compared(GOOD, SAMPLES / "server-side-capture.pcapng")
    stages = {line["stage"] for line in found["lines"] if line["standing"] == "unseen"}
    assert "discovery" in stages
    assert not {stage for stage, _ in differing(found)} & stages


def test_a_capture_that_is_cut_is_said_to_be(tmp_path: Path) -> None:
    part = tmp_path / "part.pcapng"
    part.write_bytes(GOOD.read_bytes()[:3000])
    assert "The capture of the bad one is cut" in run("compare", GOOD, part).text
    assert "is cut" not in run("compare", GOOD, SAMPLES / "no-connect-back.pcapng").text


def test_two_devices_of_one_capture() -> None:
    found = compared(SAMPLES / "fleet.pcapng.gz", "--good", "10.20.23.51", "--bad", "10.20.23.50")
    assert found["good"]["device"] != found["bad"]["device"]
    assert differing(found)[0] == ("hello", "type")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([GOOD], "the same device twice"),
        ([GOOD, SAMPLES / "port-sweep.pcapng"], "no device in this capture"),
        ([GOOD, SAMPLES / "fleet.pcapng.gz", "--bad", "10.20."], "devices here that"),
        ([GOOD, SAMPLES / "fleet.pcapng.gz", "--good", "\x1b[31m"], r"no device here that '\x1b[31m' fits"),
    ],
)
def test_refusals(words: list[str | Path], says: str) -> None:
    ran = run("compare", *words)
    assert ran.code == 2
    assert says in ran.err
    assert ran.err.count("\n") == 1
