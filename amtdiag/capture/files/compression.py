"""Compressed captures, told by content and unpacked as a stream under limits."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Protocol

from amtdiag.capture.files.buffer import CHUNK, ByteStream
from amtdiag.config import Limits


class _Decompressor(Protocol):
    """The part of the standard library's incremental decompressors that is used here."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    @property
    def needs_input(self) -> bool: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class _Zlib:
    """zlib's decompressor with the interface of the others."""

    def __init__(self) -> None:
        import zlib

        self._zlib = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    @property
    def needs_input(self) -> bool:
        return not self._zlib.unconsumed_tail

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        return self._zlib.decompress(self._zlib.unconsumed_tail + data, max(max_length, 0))


def _gzip(_limits: Limits) -> _Decompressor:
    try:
        from isal import igzip_lib
    except ImportError:
        return _Zlib()  # slower; the window of either is 32 KiB by design
    return igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)


def _bzip2(_limits: Limits) -> _Decompressor:
    import bz2

    return bz2.BZ2Decompressor()  # 4 MB at most by design


def _xz(limits: Limits) -> _Decompressor:
    import lzma

    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=limits.decompressor_memory)


def _zstd(limits: Limits) -> _Decompressor:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    window_log = limits.decompressor_memory.bit_length() - 1
    return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: window_log})


FORMATS: tuple[tuple[str, bytes, Callable[[Limits], _Decompressor]], ...] = (
    ("gz", b"\x1f\x8b\x08", _gzip),
    ("zst", b"\x28\xb5\x2f\xfd", _zstd),
    ("xz", b"\xfd7zXZ\x00", _xz),
    ("bz2", b"BZh", _bzip2),
)
"""Suffix, magic bytes, maker of a decompressor."""

_ZSTD_SKIPPABLE = tuple(bytes([n, 0x2A, 0x4D, 0x18]) for n in range(0x50, 0x60))


def compression_of(head: bytes) -> str | None:
    """Name the compression that `head`, the first bytes of a file, begins; None for none."""
    if head[:4] in _ZSTD_SKIPPABLE:
        return "zst"
    return next((name for name, magic, _ in FORMATS if head.startswith(magic)), None)


class Unpacked:
    """A compressed stream, read as what it unpacks to.

    Concatenated members and frames are one stream. Damage, a cut, and each limit end the stream early:
    `note` then says which, and all that was unpacked before has been delivered.
    """

    def __init__(self, raw: ByteStream, name: str, limits: Limits) -> None:
        self._raw = raw
        self._name = name
        self._limits = limits
        self._make = next(make for suffix, _, make in FORMATS if suffix == name)
        self._decompressor: _Decompressor | None = None
        self._pending = b""
        self._packed = self._total = 0
        self._members = 0
        self._ended = False
        self.note: str | None = None
        self.cut = False
        """The packed data ends inside a member."""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` unpacked bytes, empty at the end."""
        while not self._ended:
            try:
                data = self._step(size)
            except MemoryError:
                raise
            except Exception as error:
                self._stop(self._reason(error))
                break
            if data:
                return self._count(data)
        return b""

    def _step(self, size: int) -> bytes:
        """Return what one more call of the decompressor gives, possibly nothing."""
        if self._decompressor is None:
            if not self._more_input():
                self._ended = True
                return b""
            if self._members and compression_of(self._pending[:8]) != self._name:
                # Zero padding and signatures after the last member are common and harmless.
                trailing = self._pending.strip(b"\0")
                self._stop("bytes after the compressed data were left out" if trailing else None)
                return b""
            self._decompressor = self._make(self._limits)
        decompressor = self._decompressor
        if decompressor.needs_input and not self._pending and not self._more_input():
            self.cut = True
            self._stop(f"the {self._name} data is cut: everything before the cut was read")
            return b""
        feed, self._pending = (self._pending, b"") if decompressor.needs_input else (b"", self._pending)
        data = decompressor.decompress(feed, size)
        if decompressor.eof:
            self._pending = decompressor.unused_data + self._pending
            self._decompressor = None
            self._members += 1
        return data

    def _more_input(self) -> bool:
        if not self._pending:
            self._pending = self._raw.read(CHUNK)
            self._packed += len(self._pending)
        return bool(self._pending)

    def _count(self, data: bytes) -> bytes:
        limits = self._limits
        self._total += len(data)
        ratio_counts = self._total >= limits.decompression_ratio_from
        if ratio_counts and self._total > limits.decompression_ratio * max(self._packed, 1):
            self._stop(
                f"unpacks to more than {limits.decompression_ratio} times its size, as a decompression bomb "
                "does: reading stopped (unpack it first if you trust it)"
            )
        elif self._total > limits.decompressed_total:
            self._stop(f"unpacks to more than {limits.decompressed_total >> 30} GiB: reading stopped")
        return data

    def _stop(self, note: str | None) -> None:
        self.note = note
        self._ended = True

    def _reason(self, error: Exception) -> str:
        text = str(error).lower()
        if "memory usage limit" in text or "window" in text or "too much memory" in text:
            mib = self._limits.decompressor_memory >> 20
            return f"the {self._name} data asks for more than {mib} MiB of decompressor memory: not read"
        return f"the {self._name} data is damaged: everything before the damage was read"
