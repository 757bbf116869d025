"""From what the caller names to files that can be read: paths, folders, URLs, pipes, standard input.

Every file is looked at once before the scan begins: what it is, told by content, and when its first
packet was captured, so that many files become one capture in time order.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import NamedTuple

from amtdiag.capture.files import pcap, pcapng
from amtdiag.capture.files.buffer import CHUNK, ByteStream, ReadBuffer
from amtdiag.capture.files.compression import Unpacked, compression_of
from amtdiag.capture.files.container import Container
from amtdiag.capture.files.spooled_pipe import Copy
from amtdiag.capture.files.urls import UrlFile, expand, is_url, label_of, size_of
from amtdiag.config import Limits
from amtdiag.errors import InputError
from amtdiag.safetext import safe

STDIN = "-"
_MAGIC_BYTES = 8
_PROBE_CHUNK = 4096
"""Enough for the first packet of nearly every file."""
_PATH_CHARACTERS = 4096


class _Counted:
    """The raw bytes of an input, with a count of how many were taken and the first ones given back."""

    def __init__(self, file: ByteStream) -> None:
        # A pipe gives what has come so far, instead of waiting until a whole buffer has.
        self._take = getattr(file, "read1", file.read)
        self._take_into = getattr(file, "readinto1", None) or getattr(file, "readinto", None)
        self._returned = b""
        self.count = 0

    def peek(self, size: int) -> bytes:
        """Return up to `size` bytes without taking them."""
        while len(self._returned) < size:
            more = self._take(size - len(self._returned))
            if not more:
                break
            self._returned += more
        return self._returned[:size]

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes."""
        if self._returned:
            data, self._returned = self._returned[:size], self._returned[size:]
        else:
            data = self._take(size)
        self.count += len(data)
        return data

    def readinto(self, memory: memoryview, /) -> int:
        """Read up to as many bytes as the memory has room for; 0 at the end."""
        if self._returned or self._take_into is None:
            data = self.read(len(memory))
            memory[: len(data)] = data
            return len(data)
        size = int(self._take_into(memory) or 0)
        self.count += size
        return size


class Known(NamedTuple):
    """What is known of a file once it has been looked at."""

    path: str
    """Or URL."""
    label: str
    size: int
    first_ts: int
    compression: str | None


class Input:
    """One capture file. `first_ts` orders it among the others; `opened` gives its container."""

    def __init__(
        self,
        path: Path | str | None,
        label: str,
        limits: Limits,
        known: Known | None = None,
        *,
        copy_pipes: bool = False,
    ) -> None:
        """Look at a file, or at what a URL names; one that is `known` already is taken as it was.

        With `copy_pipes` a pipe can be read twice.
        """
        self.label = label
        self._path = path
        self._limits = limits
        self._copy_pipes = copy_pipes
        self.copy: Copy | None = None
        """Of a pipe, where it was asked for."""
        self._file: FileIO | UrlFile | None = None
        self._raw: _Counted | None = None
        self._unpacked: Unpacked | None = None
        self._compression: str | None = None
        self._container: Container | None = None
        self._read = 0
        self._size: int | None = None
        self.first_ts = 0
        if known is not None:
            self._size, self.first_ts, self._compression = known.size, known.first_ts, known.compression
            return
        if isinstance(path, str):
            self._size = size_of(path)
        elif path is not None and path.is_file():
            self._size = path.stat().st_size
        if self._size is None:
            # A pipe can be read only once: it stays open, and it comes first.
            self._container = self._open(CHUNK)
        else:
            self._probe()

    def known(self) -> Known | None:
        """What it takes to open the file once more, here or elsewhere; None for a pipe."""
        if self._path is None or self._size is None:
            return None
        return Known(os.fspath(self._path), self.label, self._size, self.first_ts, self._compression)

    @classmethod
    def again(cls, known: Known, limits: Limits) -> Input:
        """Return an input that is read on its own."""
        path = known.path if is_url(known.path) else Path(known.path)
        return cls(path, known.label, limits, known)

    @contextmanager
    def opened_again(self) -> Iterator[Container]:
        """Open an input that has been read: a pipe's copy in the place of the pipe, once.

        Raises `InputError` and `OSError` as `opened` does, and `InputError` for a pipe that was not copied.
        """
        if self._size is not None:
            with self.opened() as container:
                yield container
            return
        if self.copy is None:
            raise InputError(f"{self.label}: can be read only once")
        self._container = None
        try:
            yield self._contained(self.copy.again(), CHUNK)
        finally:
            self.copy.close()

    def _probe(self) -> None:
        """Open a file, take its first time stamp, close it again: ten thousand more may follow."""
        try:
            first = next(self._open(_PROBE_CHUNK).records(), None)
        finally:
            self._close()
        self.first_ts = first[0] if first else 0
        self._read = 0

    @contextmanager
    def opened(self) -> Iterator[Container]:
        """Open the input at its beginning and give its container.

        Raises `InputError` where the content is no capture (any more), `OSError` where it cannot be read.
        """
        container = self._container or self._open(CHUNK)
        try:
            yield container
        finally:
            self._close()

    def _open(self, chunk: int) -> Container:
        if isinstance(self._path, str):
            self._file = UrlFile(self._path)
        else:
            self._file = self._path.open("rb", buffering=0) if self._path else None
        if self._file is None and sys.stdin is None:
            raise InputError("standard input is closed")
        source: ByteStream = self._file or sys.stdin.buffer
        if self._size is None and self._copy_pipes:
            source = self.copy = Copy(source)
        return self._contained(source, chunk)

    def _contained(self, source: ByteStream, chunk: int) -> Container:
        """Tell what a stream of bytes is."""
        stream = self._raw = _Counted(source)
        # No more than the magic number, so that a slow pipe is not waited for.
        head = stream.peek(_MAGIC_BYTES)
        self._compression = compression_of(head)
        if self._compression is not None:
            self._unpacked = Unpacked(self._raw, self._compression, self._limits)
            stream = _Counted(self._unpacked)
            head = stream.peek(_MAGIC_BYTES)
        window = ReadBuffer(stream, chunk)
        if head[:4] == pcapng.MAGIC:
            return pcapng.Pcapng(window, self._limits)
        if head[:4] in pcap.MAGICS:
            return pcap.Pcap(window, self._limits)
        from shlex import quote

        from amtdiag.capture.files.magic import HEAD_BYTES, identify

        what, remedy = identify(stream.peek(HEAD_BYTES), quote(self.label) if self._path else "FILE")
        if self._unpacked is not None:
            if self._unpacked.note and not head:
                raise InputError(f"{self.label}: {self._unpacked.note}")
            what = f"{self._compression}-compressed, and inside it {what}"
        raise InputError(f"{self.label}: not a capture: {what}; {remedy}")

    def _close(self) -> None:
        if self._raw is not None:
            self._read = self._raw.count
        if self._file is not None:
            self._file.close()
        self._raw = self._file = None

    def format_name(self, container: Container | None) -> str:
        """pcap, pcapng.gz ..."""
        name = container.format if container else "unknown"
        return f"{name}.{self._compression}" if self._compression else name

    def size(self) -> int:
        """Bytes of the file, packed where it is packed; for a pipe those that came."""
        return self._read if self._size is None else self._size

    def position(self) -> int:
        """Bytes of the file read so far."""
        return self._raw.count if self._raw else self._read

    def notes(self) -> tuple[str, ...]:
        """What unpacking had to say."""
        return (self._unpacked.note,) if self._unpacked and self._unpacked.note else ()

    @property
    def cut(self) -> bool:
        """The packed data ends early."""
        return bool(self._unpacked and self._unpacked.cut)


class OpenedInputs:
    """What `open_inputs` found: readable inputs, and a line for each thing that was left out."""

    def __init__(self, *, copy_pipes: bool = False) -> None:
        self.copy_pipes = copy_pipes
        self.inputs: list[Input] = []
        self.problems: list[str] = []
        """One line for each named input that could not be read."""
        self.notes: list[str] = []
        """What was left out of folders, and why."""


def open_inputs(
    names: Sequence[str | os.PathLike[str]], limits: Limits, *, copy_pipes: bool = False
) -> OpenedInputs:
    """Identify every file that `names` stand for. With `copy_pipes` all can be read twice.

    A name is a file, a folder (taken with all below it, links leading out of it excepted), a pipe, a URL in
    which ``*`` may stand for several, or ``-`` for standard input. What cannot be read becomes a line in
    `problems`; files of a folder that are no captures are counted in `notes`.
    """
    opened = OpenedInputs(copy_pipes=copy_pipes)
    seen: set[tuple[int, int]] = set()
    urls: set[str] = set()
    for name in names:
        if os.fspath(name) == STDIN:
            _add(opened, None, "standard input", limits)
            continue
        if is_url(os.fspath(name)):
            _add_url(opened, os.fspath(name), urls, limits)
            continue
        path = Path(name)
        try:
            status = path.stat()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            opened.problems.append(f"{_label(path)}: {reason}")
            continue
        if stat.S_ISDIR(status.st_mode):
            _add_folder(opened, path, seen, limits)
        elif (status.st_dev, status.st_ino) in seen:
            opened.notes.append(f"{_label(path)} was named twice and is read once")
        else:
            seen.add((status.st_dev, status.st_ino))
            _add(opened, path, _label(path), limits)
    return opened


def _label(path: Path) -> str:
    return safe(os.fspath(path), _PATH_CHARACTERS)


def _add_url(opened: OpenedInputs, name: str, seen: set[str], limits: Limits) -> None:
    label = label_of(name)
    try:
        found = expand(name, limits.folder_files)
    except OSError as error:
        opened.problems.append(f"{label}: {error}")
        return
    if not found:
        opened.problems.append(f"{label}: nothing there")
    if len(found) > limits.folder_files:
        opened.notes.append(f"{label}: more than {limits.folder_files:,} files, the rest left out")
    for url in found[: limits.folder_files]:
        if url in seen:
            opened.notes.append(f"{label_of(url)} was named twice and is read once")
            continue
        seen.add(url)
        _add(opened, url, label_of(url), limits)


def _add(opened: OpenedInputs, path: Path | str | None, label: str, limits: Limits) -> bool:
    try:
        opened.inputs.append(Input(path, label, limits, copy_pipes=opened.copy_pipes))
    except InputError as error:
        opened.problems.append(str(error))
    except OSError as error:
        opened.problems.append(f"{label}: {error.strerror or error}")
    else:
        return True
    return False


def _add_folder(opened: OpenedInputs, folder: Path, seen: set[tuple[int, int]], limits: Limits) -> None:
    """Take the captures of a folder; the rest is counted, not complained of."""
    root = folder.resolve()
    others = outside = taken = 0
    for path in _files_below(folder):
        if path.is_symlink() and not path.resolve().is_relative_to(root):
            outside += 1
            continue
        try:
            status = path.stat()
        except OSError:
            others += 1
            continue
        if not stat.S_ISREG(status.st_mode) or (status.st_dev, status.st_ino) in seen:
            continue
        if taken >= limits.folder_files:
            opened.notes.append(
                f"{_label(folder)}: more than {limits.folder_files:,} files, the rest left out"
            )
            break
        problems = len(opened.problems)
        if _add(opened, path, _label(path), limits):
            seen.add((status.st_dev, status.st_ino))
            taken += 1
        elif _is_unreadable_capture(path):
            continue
        else:
            del opened.problems[problems:]
            others += 1
    if outside:
        opened.notes.append(
            f"{_label(folder)}: {outside} links that lead out of the folder were not followed"
        )
    if others:
        opened.notes.append(f"{_label(folder)}: {others} files are not captures and were left out")
    if not taken:
        opened.problems.append(f"{_label(folder)}: no captures in this folder")


_CAPTURE_SUFFIXES = frozenset({".pcap", ".pcapng", ".cap", ".dmp", ".etl", ".ntar"})


def _is_unreadable_capture(path: Path) -> bool:
    """True for a file whose name promises a capture: its problem is worth a line."""
    return bool(_CAPTURE_SUFFIXES.intersection(suffix.lower() for suffix in path.suffixes))


def _files_below(folder: Path) -> Iterator[Path]:
    """Every file below a folder, by name; links to folders are not entered."""
    for parent, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            yield Path(parent) / name
