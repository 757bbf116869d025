"""What a capture loses, repeats or swaps makes no wrong fact: each sample, with each frame harmed in turn.

Every variant is diagnosed and held against the whole capture: it may say less, and it may not know; it may
not accuse of anything else, nor name another mode.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import pytest
from helpers import SAMPLES
from test_absence import PACKET, Block, blocks_of, unpacked, written

from amtdiag.model import Diagnosis
from amtdiag.pipeline import diagnose
from amtdiag.rules.catalogue import DEVICE_RULES
from amtdiag.rules.chain import ChainCheck, RefusedForNoVisibleReason
from amtdiag.rules.handshake_failures import HandshakeCheck
from amtdiag.rules.wsman_calls import BrokenAfterCommit

RECORDINGS = sorted(
    [
        *(path for kind in ("chain", "psk", "tls", "web") for path in SAMPLES.glob(f"{kind}-*.pcapng*")),
        *SAMPLES.glob("recorded/mesh_*.pcapng"),
    ]
)


def name_of(recording: Path) -> str:
    return recording.name.partition(".")[0]


every_recording = pytest.mark.parametrize("recording", RECORDINGS, ids=name_of)

HEAD, TIME, LENGTHS = 28, slice(12, 20), slice(20, 28)
"""Where an enhanced packet block has its packet, its time, and the lengths captured and sent."""
IPV4_TCP, PROTOCOL = b"\x08\x00", 23
"""EtherType, and where an IPv4 packet in Ethernet names its protocol."""
FIRST_BYTES = 54
"""Ethernet, IPv4 and TCP without options."""


class Told(NamedTuple):
    """What is held against the whole."""

    accused: dict[str, int]
    """Rules that call something an error or critical, and all about security, with how bad that is."""
    modes: frozenset[str]
    first: str | None
    """The rule of the first finding, where it is an error."""


GRADES = ("info", "warning", "error", "critical")


def told(capture: Path) -> Told:
    found: Diagnosis = diagnose([capture])
    accused = {
        one.rule: GRADES.index(one.severity)
        for one in reversed(found.findings)
        if not one.overcome and (one.severity in ("error", "critical") or one.category == "security")
    }
    modes = frozenset(span.name for device in found.devices for span in device.modes)
    top = next(iter(found.findings), None)
    first = top.rule if top is not None and top.severity in ("error", "critical") else None
    return Told(accused, modes - {"unknown"}, first)


# ----------------------------------------------------------------------------------------------- the variants

Variant = tuple[str, list[Block]]


def removed(packets: list[Block]) -> Iterator[Variant]:
    for at in range(len(packets)):
        yield f"without frame {at + 1}", packets[:at] + packets[at + 1 :]


def doubled(packets: list[Block]) -> Iterator[Variant]:
    for at in range(len(packets)):
        yield f"frame {at + 1} twice", packets[: at + 1] + packets[at:]


def swapped(packets: list[Block]) -> Iterator[Variant]:
    """Two frames change places; the times stay where they are."""
    for at in range(len(packets) - 1):
        one, two = packets[at][1], packets[at + 1][1]
        pair = [(PACKET, two[:12] + one[TIME] + two[20:]), (PACKET, one[:12] + two[TIME] + one[20:])]
        yield f"frames {at + 1} and {at + 2} swapped", packets[:at] + pair + packets[at + 2 :]


def ended(packets: list[Block]) -> Iterator[Variant]:
    for at in range(1, len(packets)):
        yield f"the first {at} frames", packets[:at]


def late(packets: list[Block]) -> Iterator[Variant]:
    for at in range(1, len(packets)):
        yield f"from frame {at + 1} on", packets[at:]


def one_way(packets: list[Block]) -> Iterator[Variant]:
    """Only what goes to, or comes from, a MAC."""
    for place, way in ((slice(28, 34), "to"), (slice(34, 40), "from")):
        for mac in {data[place] for _, data in packets}:
            yield f"only {way} {mac.hex(':')}", [one for one in packets if one[1][place] == mac]
            yield f"nothing {way} {mac.hex(':')}", [one for one in packets if one[1][place] != mac]


def is_tcp(data: bytes) -> bool:
    packet = data[HEAD:]
    return packet[12:14] == IPV4_TCP and packet[PROTOCOL] == 6


def snapped(block: Block, most: int) -> Block:
    """The packet cut to so many bytes, as a snap length does it."""
    kind, data = block
    length, sent = struct.unpack("<II", data[LENGTHS])
    if not is_tcp(data) or length <= most:
        return block
    packet = data[HEAD : HEAD + most] + bytes(-most % 4)
    body = data[8:20] + struct.pack("<II", most, sent) + packet
    size = struct.pack("<I", len(body) + 12)
    return kind, data[:4] + size + body + size


def short(packets: list[Block]) -> Iterator[Variant]:
    """Every TCP frame, then each single one, cut somewhere behind its header."""
    for more in (0, 6, 12, 13, 17, 18, 22, 40, 100, 200, 400, 700, 1100, 1400):
        yield f"{more} bytes behind each header", [snapped(one, FIRST_BYTES + more) for one in packets]
    for at, one in enumerate(packets):
        for more in (0, 15, 37, 90, 333, 900):
            cut = snapped(one, FIRST_BYTES + more)
            if cut is not one:
                yield (
                    f"{more} bytes behind the header of frame {at + 1}",
                    [*packets[:at], cut, *packets[at + 1 :]],
                )


def scattered(packets: list[Block]) -> Iterator[Variant]:
    """Several frames lost at once, as an overloaded capture loses them; chance is the same in every run."""
    for seed in range(120):
        rng = random.Random(seed)
        rate = rng.choice((0.03, 0.08, 0.2, 0.5))
        yield f"{rate:.0%} lost, seed {seed}", [one for one in packets if rng.random() > rate]


VARIANTS: tuple[Callable[[list[Block]], Iterator[Variant]], ...] = (
    removed, doubled, swapped, ended, late, one_way, short, scattered,
)  # fmt: skip
every_harm = pytest.mark.parametrize("harm", VARIANTS, ids=lambda harm: harm.__name__)

# ------------------------------------------------------------------------------------------------ the promise

TRUE_OF_A_PART = {
    # The password is wrong at first; that another is right comes later.
    ("web-password-found", "password-wrong"),
    # TLS does fail for want of a common version; that the device is then set up without TLS comes later.
    ("web-falls-back", "tls-version"),
    # Without the Hello, and without the calls that set it up, AMT's web server is all that is seen of the
    # device: it is inferred, and called so, that it is managed.
    ("web-password-wrong", "operational"),
    ("web-call-fails", "operational"),
    ("web-commit-refused", "operational"),
    ("web-ends-at-password", "operational"),
    # Where every reset is lost, silence is all that the repeated attempts meet.
    ("mesh_closed", "connect-back-unanswered"),
}
WEAKER = "tls-ended"
"""What is said of a handshake that breaks off where the messages that tell why are lost: true of them all."""
HANDSHAKES = {
    rule.id
    for rule in DEVICE_RULES
    if issubclass(rule, HandshakeCheck | ChainCheck | RefusedForNoVisibleReason | BrokenAfterCommit)
}


def wrong(part: Told, whole: Told, recording: Path) -> list[str]:
    true = {what for name, what in TRUE_OF_A_PART if name == name_of(recording)}
    if HANDSHAKES.intersection(whole.accused):
        true.add(WEAKER)
    found = [
        f"{rule} is new"
        for rule, grade in part.accused.items()
        if grade > whole.accused.get(rule, -1) and rule not in true
    ]
    found += [f"mode {one}" for one in part.modes - whole.modes - true]
    if part.first is not None and whole.first in part.accused and part.first != whole.first:
        found.append(f"{part.first} comes before {whole.first}")
    return found


EACH = 4
"""One variant of so many is tried: another one of each recording. With 1, all 20,000 take some 80 s."""


@every_harm
@every_recording
def test_no_loss_makes_a_wrong_fact(
    recording: Path, harm: Callable[[list[Block]], Iterator[Variant]], tmp_path: Path
) -> None:
    blocks = list(blocks_of(recording))
    head = [block for block in blocks if block[0] != PACKET]
    packets = [block for block in blocks if block[0] == PACKET]
    whole = told(recording)
    found = {}
    begin = RECORDINGS.index(recording) % EACH
    for name, frames in islice(harm(packets), begin, None, EACH):
        part = told(written([*head, *frames], tmp_path / "part.pcapng"))
        if complaints := wrong(part, whole, recording):
            found[name] = complaints
    assert found == {}


@every_recording
def test_a_file_cut_at_any_byte_makes_no_wrong_fact(recording: Path, tmp_path: Path) -> None:
    data, whole = unpacked(recording), told(recording)
    part = tmp_path / "part.pcapng"
    begin = 300 + 13 * RECORDINGS.index(recording)
    for end in range(begin, len(data), 499):
        part.write_bytes(data[:end])
        assert wrong(told(part), whole, recording) == [], f"the first {end} bytes"
