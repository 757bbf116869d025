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

from amtdiag.capture.files.container import RecordOrigin
from amtdiag.capture.files.inputs import Input
from amtdiag.capture.files.pcapng_writer import COMMENT, PacketCopier, text, whole_file
from amtdiag.capture.frame_index import FrameIndex
from amtdiag.errors import InputError, UsageError
from amtdiag.model import CaptureInfo, Diagnosis, Evidence
from amtdiag.safetext import plain
from amtdiag.wireshark.comments import packet_comments, section_comment


class Annotated(NamedTuple):
    """What was written."""

    packets: int
    comments: int
    """Packets that have comments."""
    notes: tuple[str, ...]
    """What could not be written, and why."""


class _Packet(NamedTuple):
    """A packet to be written."""

    ts: int
    """Nanoseconds since 1970."""
    file: int
    frame: int
    data: bytes
    """As captured."""
    wirelen: int
    """Bytes on the wire."""
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
    try:
        with whole_file(path) as out:
            return _AnnotatedWriter(out, diagnosis).write(kept)
    except OSError as error:
        raise UsageError(f"{plain(str(path), 4096)}: {error.strerror or error}") from error


class _AnnotatedWriter:
    def __init__(self, out: BinaryIO, diagnosis: Diagnosis) -> None:
        labels = [plain(capture.file) for capture in diagnosis.captures]
        self._copier = PacketCopier(out, section_comment(diagnosis), labels)
        self._diagnosis = diagnosis
        self._comments = packet_comments(diagnosis)
        self._key_logs: dict[int, int] = {}
        """By file: bytes of its key log that are written."""
        self._notes: list[str] = []
        self._commented = 0

    def write(self, kept: FrameIndex) -> Annotated:
        for packet in self._all_packets(kept):
            self._write(packet)
        for file, capture in enumerate(self._diagnosis.captures):
            self._copier.end(file, capture)
        return Annotated(self._copier.packets, self._commented, tuple(self._notes))

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
            yield from walks[0] if len(walks) == 1 else heapq.merge(*walks, key=lambda packet: packet.ts)

    def _walk(self, file: int, capture_file: Input, frames: Collection[int]) -> Iterator[_Packet]:
        """Yield the wanted packets of a file."""
        capture = self._diagnosis.captures[file]
        ends = {capture.first_ts, capture.last_ts}
        try:
            with capture_file.opened_again() as container:
                for ts, _, data, start, end, wirelen in container.records():
                    if container.frame in frames or ts in ends:
                        ends.discard(ts)
                        origin, secrets = container.origin(), container.secrets
                        packet = bytes(data[start:end])
                        yield _Packet(ts, file, container.frame, packet, wirelen, origin, secrets)
        except (OSError, InputError) as error:
            self._notes.append(f"{capture.file}: {getattr(error, 'strerror', None) or error}")
        if capture_file.copy is not None and capture_file.copy.is_full:
            self._notes.append(f"{capture.file}: too long a pipe to keep all of it: its end is not written")

    def _write(self, packet: _Packet) -> None:
        written = self._key_logs.get(packet.file, 0)
        if len(packet.secrets) > written:
            self._copier.key_log(packet.secrets[written:])
            self._key_logs[packet.file] = len(packet.secrets)
        label = self._diagnosis.captures[packet.file].file
        comments = self._comments.get(Evidence(label, packet.frame), [])
        options = [*packet.origin.options, *((COMMENT, text(comment)) for comment in comments)]
        self._copier.packet(
            packet.file, packet.origin, packet.ts, packet.data, packet.wirelen, options=options
        )
        self._commented += bool(comments)


def addresses_of(diagnosis: Diagnosis) -> frozenset[bytes]:
    """Return the addresses of all devices and of their servers, packed."""
    addresses = {address for device in diagnosis.devices for address in device.ips}
    connections = [connection.ends for connection in diagnosis.connections]
    for ends in connections + [record.event.ends for record in diagnosis.hellos]:
        addresses |= {ends.src, ends.dst}
    found = set()
    for address in addresses:
        with suppress(ValueError):
            found.add(ip_address(address).packed)
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
        for event in kind:
            yield from event.evidence


def _overlapping(captures: Sequence[CaptureInfo]) -> Iterator[list[int]]:
    """Yield the numbers of files that were captured at the same time, such groups in time order."""
    spans = sorted(
        (capture.first_ts, capture.last_ts or capture.first_ts, number)
        for number, capture in enumerate(captures)
        if capture.first_ts is not None
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
