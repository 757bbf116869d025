"""The packets that matter as one pcapng file, what was found as comments of the frames that prove it.

The inputs are gone through once more: of a large capture only frame numbers were kept. The packets are those
that the diagnosis looked into, with the first and the last of each file, so that it was watching as long; DNS
only of the devices and their servers. Bytes, times, link types and interfaces are as they were.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from ipaddress import ip_address
from os import PathLike
from pathlib import Path
from typing import BinaryIO, NamedTuple

from amtdiag.capture.files import pcapng_writer
from amtdiag.capture.files.container import RecordOrigin
from amtdiag.capture.files.inputs import Input
from amtdiag.capture.frame_index import FrameIndex
from amtdiag.errors import InputError, UsageError
from amtdiag.model import CaptureInfo, Diagnosis, Evidence
from amtdiag.tables import plain
from amtdiag.wireshark.comments import packet_comments, section_comment

_TLS_KEY_LOG = 0x544C_534B
_NANO = 9
_MOST_DROPS = (1 << 64) - 1


class Annotated(NamedTuple):
    """What was written."""

    packets: int
    comments: int
    notes: tuple[str, ...]
    """What could not be."""


class _Packet(NamedTuple):
    """A packet to be written."""

    ts: int
    file: int
    frame: int
    data: bytes
    wirelen: int
    origin: RecordOrigin
    secrets: bytes
    """Key log lines that the file has brought along so far."""


def check_target(target: str | PathLike[str], names: Sequence[str | PathLike[str]]) -> None:
    """Raise `UsageError` where the file cannot be written, or is one of those that are read."""
    path, shown = Path(target), plain(str(target), 4096)
    if str(target) == "-" or path.is_dir():
        raise UsageError(f"{shown}: an annotated capture is written to a file")
    if not path.parent.is_dir():
        raise UsageError(f"{shown}: there is no such folder")
    for name in names:
        try:
            inside = path.parent.samefile(name) or Path(name).resolve() in path.resolve().parents
            clash = inside or (path.exists() and path.samefile(name))
        except (OSError, ValueError):
            continue  # standard input, a URL, or nothing: what it is shows when it is read
        if clash:
            raise UsageError(f"{shown}: an annotated capture does not go where captures are read from")


def write_annotated(diagnosis: Diagnosis, kept: FrameIndex, target: str | PathLike[str]) -> Annotated:
    """Write the packets of a diagnosis; `kept` comes from the run that gave it.

    The file is complete or not there. Raises `UsageError` where it cannot be written.
    """
    path = Path(target)
    half = path.with_name(f"{path.name}.new")
    try:
        with half.open("wb") as file:
            written = _AnnotatedWriter(file, diagnosis).write(kept)
        half.replace(path)
    except OSError as error:
        raise UsageError(f"{plain(str(path), 4096)}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            half.unlink(missing_ok=True)
    return written


class _AnnotatedWriter:
    def __init__(self, file: BinaryIO, diagnosis: Diagnosis) -> None:
        self._file = file
        self._diagnosis = diagnosis
        self._comments = packet_comments(diagnosis)
        self._interfaces: dict[tuple[int, int], tuple[int, int]] = {}
        """By file and number in it: number here, and digits of its second."""
        self._secrets: dict[int, int] = {}
        """By file: bytes of its key log that are written."""
        self._notes: list[str] = []
        self._commented = self._packets = 0

    def write(self, kept: FrameIndex) -> Annotated:
        comment = section_comment(self._diagnosis)
        self._file.write(
            pcapng_writer.section(
                [(pcapng_writer.COMMENT, _option(comment)), (pcapng_writer.APPLICATION, b"amtdiag")]
            )
        )
        for packet in self._all_packets(kept):
            self._write(packet)
        for file, capture in enumerate(self._diagnosis.captures):
            self._end(file, capture)
        return Annotated(self._packets, self._commented, tuple(self._notes))

    def _all_packets(self, kept: FrameIndex) -> Iterator[_Packet]:
        """Yield what is to be written in time order, as far as the files are in it."""
        addresses = addresses_of(self._diagnosis)
        wanted: dict[str, set[int]] = {}
        for place in evidence_of(self._diagnosis):
            wanted.setdefault(place.file, set()).add(place.frame)
        for group in _overlapping(self._diagnosis.captures):
            walks = [
                self._walk(
                    file,
                    kept.inputs[file],
                    kept.frames(file, addresses) | wanted.get(kept.inputs[file].label, set()),
                )
                for file in group
            ]
            yield from walks[0] if len(walks) == 1 else heapq.merge(*walks, key=lambda one: one.ts)

    def _walk(self, file: int, one: Input, frames: Collection[int]) -> Iterator[_Packet]:
        """Yield the wanted packets of a file."""
        capture = self._diagnosis.captures[file]
        ends = {capture.first_ts, capture.last_ts}
        try:
            with one.opened_again() as container:
                for ts, _, data, start, end, wirelen in container.records():
                    if container.frame in frames or ts in ends:
                        ends.discard(ts)
                        origin, secrets = container.origin(), container.secrets
                        packet = bytes(data[start:end])
                        yield _Packet(ts, file, container.frame, packet, wirelen, origin, secrets)
        except (OSError, InputError) as error:
            self._notes.append(f"{capture.file}: {getattr(error, 'strerror', None) or error}")
        if one.copy is not None and one.copy.is_full:
            self._notes.append(f"{capture.file}: too long a pipe to keep all of it: its end is not written")

    def _write(self, packet: _Packet) -> None:
        capture = self._diagnosis.captures[packet.file]
        number, digits = self._interface(packet, capture.file)
        written = self._secrets.get(packet.file, 0)
        if len(packet.secrets) > written:
            self._file.write(pcapng_writer.secrets(_TLS_KEY_LOG, packet.secrets[written:]))
            self._secrets[packet.file] = len(packet.secrets)
        comments = self._comments.get(Evidence(capture.file, packet.frame), [])
        options = [*packet.origin.options, *((pcapng_writer.COMMENT, _option(one)) for one in comments)]
        stamp = _stamp(packet.ts, digits)
        self._file.write(pcapng_writer.packet(number, stamp, packet.data, packet.wirelen, options))
        self._packets += 1
        self._commented += bool(comments)

    def _interface(self, packet: _Packet, label: str) -> tuple[int, int]:
        """Return number and digits of a packet's interface; describe it before its first packet."""
        origin = packet.origin
        key = packet.file, origin.interface
        if key not in self._interfaces:
            self._interfaces[key] = len(self._interfaces), origin.digits
            options = [(pcapng_writer.IFNAME, origin.name)] if origin.name else []
            options.append((pcapng_writer.IFDESCRIPTION, _option(f"of {plain(label)}")))
            options.append((pcapng_writer.TSRESOL, bytes([origin.digits])))
            self._file.write(pcapng_writer.interface(origin.linktype, origin.snaplen, options))
        return self._interfaces[key]

    def _end(self, file: int, capture: CaptureInfo) -> None:
        """Say when the capture was stopped and what was lost, as far as its file says so."""
        numbers = [pair for (of, _), pair in self._interfaces.items() if of == file]
        if not numbers or (capture.watched_until is None and capture.drops is None):
            return
        number, digits = numbers[0]
        stamp = _stamp(capture.watched_until or capture.last_ts or 0, digits)
        options = (
            [(pcapng_writer.ENDTIME, pcapng_writer.stamp_option(stamp))]
            if capture.watched_until is not None
            else []
        )
        if capture.drops is not None:
            options.append((pcapng_writer.IFDROP, min(capture.drops, _MOST_DROPS).to_bytes(8, "little")))
        self._file.write(pcapng_writer.statistics(number, stamp, options))


def _stamp(ts: int, digits: int) -> int:
    unit: int = 10 ** (_NANO - digits)
    return ts // unit


def _option(text: str) -> bytes:
    """Text as an option has it, cut where a character ends."""
    data = text.encode("utf-8", "replace")
    return (
        data[: pcapng_writer.LONGEST_OPTION].decode("utf-8", "ignore").encode()
        if len(data) > pcapng_writer.LONGEST_OPTION
        else data
    )


def addresses_of(diagnosis: Diagnosis) -> frozenset[bytes]:
    """Return the addresses of all devices and of their servers, packed."""
    texts = {text for device in diagnosis.devices for text in device.ips}
    for ends in [one.ends for one in diagnosis.connections] + [one.event.ends for one in diagnosis.hellos]:
        texts |= {ends.src, ends.dst}
    found = set()
    for text in texts:
        with suppress(ValueError):
            found.add(ip_address(text).packed)
    return frozenset(found)


def evidence_of(diagnosis: Diagnosis) -> Iterator[Evidence]:
    """Yield the frames that findings and events rest on."""
    events = (
        diagnosis.findings,
        diagnosis.connections,
        diagnosis.dhcp,
        diagnosis.lookups,
        diagnosis.pongs,
        (record.event for record in diagnosis.hellos),
    )
    for kind in events:
        for one in kind:
            yield from one.evidence


def _overlapping(captures: Sequence[CaptureInfo]) -> Iterator[list[int]]:
    """Yield the numbers of files that were captured at the same time, such groups in time order."""
    spans = sorted(
        (one.first_ts, one.last_ts or one.first_ts, number)
        for number, one in enumerate(captures)
        if one.first_ts is not None
    )
    group: list[int] = []
    reached = 0
    for first, last, number in spans:
        if group and first > reached:
            yield group
            group = []
        reached = max(reached, last) if group else last
        group.append(number)
    if group:
        yield group
