"""A capture read twice: what matters in it is found, and then written with pseudonyms."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from hashlib import blake2b
from os import PathLike
from pathlib import Path
from typing import NamedTuple

from amtdiag.capture.decode.ip import Header
from amtdiag.capture.files.inputs import STDIN, Input
from amtdiag.capture.files.pcapng_writer import PacketCopier, whole_file
from amtdiag.config import Options
from amtdiag.errors import InputError, UsageError
from amtdiag.model import Diagnosis
from amtdiag.pipeline import Progress, diagnose, hello_ports
from amtdiag.redact.conversations import Conversations
from amtdiag.redact.packets import Payload, mask_packet
from amtdiag.redact.pseudonyms import Pseudonyms
from amtdiag.redact.streams import Content
from amtdiag.safetext import plain
from amtdiag.trust.catalogue import by_digest
from amtdiag.trust.certificates import read_certificate
from amtdiag.wireshark.annotated import addresses_of, evidence_of

_LETTERS = "abcdefghijklmnopqrstuvwxyz"


class Redacted(NamedTuple):
    """What was written."""

    files: int
    packets: int
    of: int
    """Packets that were read."""
    devices: int
    certificates: int
    """That the capture holds."""
    notes: tuple[str, ...]


def redact(
    names: Sequence[str | PathLike[str]],
    target: str | PathLike[str],
    key: bytes,
    options: Options | None = None,
    *,
    keep_certificates: bool = False,
    force: bool = False,
    progress: Progress | None = None,
) -> Redacted:
    """Write what matters of captures to a file, or to a folder where they are a folder or several.

    One `key` gives one pseudonym for one value. Raises `UsageError` where the target is no place to write to,
    and `InputError` where nothing can be read.
    """
    into_folder = len(names) > 1 or Path(names[0]).is_dir()
    path = Path(target)
    _check(path, names, into_folder=into_folder, force=force)
    chosen = options or Options()
    conversations = Conversations(chosen.limits, hello_ports(chosen))
    diagnosis = diagnose(names, chosen, progress, conversations)
    writer = _RedactedWriter(diagnosis, conversations, key, chosen, keep_certificates=keep_certificates)
    try:
        if into_folder:
            path.mkdir(exist_ok=True)
            for name, file in _names(conversations):
                writer.write(path / name, [file])
        else:
            writer.write(path, range(len(conversations.inputs)))
    except OSError as error:
        raise UsageError(f"{plain(str(path), 4096)}: {error.strerror or error}") from error
    return writer.written(diagnosis)


def key_of(secret: bytes) -> bytes:
    """Return a key made of any secret, as long as the pseudonyms want it."""
    return blake2b(secret, person=b"amtdiag redact").digest()


def _check(path: Path, names: Sequence[str | PathLike[str]], *, into_folder: bool, force: bool) -> None:
    shown = plain(str(path), 4096)
    if STDIN in map(str, names):
        raise UsageError("standard input cannot be read twice: save the capture to a file first")
    if str(path) == STDIN:
        raise UsageError("a redacted capture is written to a file, not to standard output")
    if not path.resolve().parent.is_dir():
        raise UsageError(f"{shown}: there is no such folder")
    for name in names:
        with suppress(OSError, ValueError):
            source, own = Path(name).resolve(), path.resolve()
            if source.exists() and (
                own == source or source in own.parents or (into_folder and own in source.parents)
            ):
                raise UsageError(f"{shown}: what is redacted does not go where captures are read from")
    if into_folder and path.exists() and not path.is_dir():
        raise UsageError(f"{shown}: several captures are written to a folder, and this is a file")
    if not into_folder and path.is_dir():
        raise UsageError(f"{shown}: one capture is written to a file, and this is a folder")
    if path.exists() and not force and (not into_folder or any(path.iterdir())):
        raise UsageError(f"{shown}: exists already (--force writes all the same)")


def _names(conversations: Conversations) -> list[tuple[str, int]]:
    """Return neutral names, the files of one sensor alike and in their order."""
    found, named = [], set()
    sensors = [*conversations.sensors]
    placed = {file for files in sensors for file in files}
    sensors += [(file,) for file in range(len(conversations.inputs)) if file not in placed]
    for number, files in enumerate(sensors):
        for at, file in enumerate(files):
            if file not in named:
                named.add(file)
                found.append((f"{_letters(number)}_{at + 1:05}.pcapng", file))
    return found


def _letters(number: int) -> str:
    text = _LETTERS[number % len(_LETTERS)]
    while number := number // len(_LETTERS):
        text = _LETTERS[(number - 1) % len(_LETTERS)] + text
        number -= 1
    return text


class _RedactedWriter:
    """Writes what matters of the captures, with pseudonyms."""

    def __init__(
        self,
        diagnosis: Diagnosis,
        conversations: Conversations,
        key: bytes,
        options: Options,
        *,
        keep_certificates: bool,
    ) -> None:
        self._diagnosis = diagnosis
        self._conversations = conversations
        self._limits = options.limits
        self._certificates = _certificates(diagnosis)
        kept_names = _names_in(self._certificates) if keep_certificates else ()
        self._names = Pseudonyms(key, kept_names)
        self._names.macs |= conversations.macs
        known = by_digest()
        self._content = Content(
            self._names, lambda digest: digest in known, keep_certificates=keep_certificates
        )
        self._ports = hello_ports(options)
        self._addresses = addresses_of(diagnosis)
        self._evidence: dict[str, set[int]] = {}
        for place in evidence_of(diagnosis):
            self._evidence.setdefault(place.file, set()).add(place.frame)
        self._files = self._packets = 0
        self._notes: list[str] = []

    def written(self, diagnosis: Diagnosis) -> Redacted:
        """Return what was written."""
        read = sum(capture.packets for capture in diagnosis.captures)
        return Redacted(
            self._files,
            self._packets,
            read,
            len(diagnosis.devices),
            len(self._certificates),
            (*diagnosis.problems, *self._notes),
        )

    def write(self, path: Path, files: Sequence[int]) -> None:
        """Write one file. It is complete or not there."""
        with whole_file(path) as out:
            copier = PacketCopier(out)
            for file in files:
                self._copy(copier, file, self._conversations.inputs[file])
                copier.end(file, self._diagnosis.captures[file])
        self._packets += copier.packets
        self._files += 1

    def _copy(self, copier: PacketCopier, file: int, source: Input) -> None:
        capture = self._diagnosis.captures[file]
        frames = self._conversations.frames(file, self._addresses) | self._evidence.get(source.label, set())
        ends = {capture.first_ts, capture.last_ts}
        try:
            with source.opened_again() as container:
                for ts, linktype, data, start, end, wirelen in container.records():
                    frame = container.frame
                    if frame not in frames and ts not in ends:
                        continue
                    ends.discard(ts)
                    packet = self._masked(bytes(data[start:end]), linktype, wirelen, (file, frame))
                    copier.packet(file, container.origin(), ts, packet, wirelen)
        except InputError as error:
            self._notes.append(str(error))

    def _masked(self, data: bytes, linktype: int, wirelen: int, at: tuple[int, int]) -> bytes:
        def body(header: Header, protocol: int, head: bytes, content: bytes) -> Payload | None:
            return self._conversations.body(
                at, header, protocol, head=head, data=content, masker=self._stream, names=self._names
            )

        masked = mask_packet(data, linktype, wirelen, self._names, body)
        return bytes(len(data)) if masked is None else masked

    def _stream(self, data: bytes, port: int, headless: bool) -> bytes:
        return self._content.mask(data, port, self._ports, headless=headless)


def _certificates(diagnosis: Diagnosis) -> frozenset[bytes]:
    """Return all certificates, DER, that the capture shows in the clear."""
    return frozenset(
        der
        for link in diagnosis.connections
        if link.tls is not None
        for chain in (link.tls.client_chain, link.tls.server_chain)
        if chain is not None
        for der in chain.der
    )


def _names_in(certificates: Collection[bytes]) -> frozenset[bytes]:
    """Return the names in certificates, which whoever keeps those discloses anyway."""
    found: set[str] = set()
    for der in certificates:
        certificate = read_certificate(der)
        if not isinstance(certificate, str):
            found.update(certificate.common_names, certificate.hosts)
    return frozenset(name.encode("ascii", "ignore") for name in found)
