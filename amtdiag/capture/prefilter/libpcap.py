"""A capture filter of the user's, compiled by libpcap where that is installed. Nothing else needs it."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

from amtdiag.capture.decode.linktypes import RAW_IP
from amtdiag.capture.prefilter.bpf import SNAP_LENGTH, Instruction
from amtdiag.errors import MissingToolError, UsageError
from amtdiag.safetext import safe

_LIBRARIES = ("libpcap.so.0.8", "libpcap.so.1", "libpcap.so")
"""As Debian, and as others, name what a program loads; the last comes with the header files."""
_DLT_RAW = 12
"""libpcap's number on Linux for what is `RAW_IP` in a file."""
_NO_NETMASK = 0xFFFF_FFFF


class _Instruction(ctypes.Structure):
    _fields_ = [
        ("code", ctypes.c_ushort),
        ("jt", ctypes.c_ubyte),
        ("jf", ctypes.c_ubyte),
        ("k", ctypes.c_uint),
    ]


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_uint), ("instructions", ctypes.POINTER(_Instruction))]


def compiled(expression: str, linktype: int) -> Sequence[Instruction]:
    """Return the program of an expression as pcap-filter(7) describes it.

    Raises `MissingToolError` where there is no libpcap, `UsageError` for what is no expression.
    """
    library = _library()
    handle = library.pcap_open_dead(_DLT_RAW if linktype == RAW_IP else linktype, SNAP_LENGTH)
    if not handle:
        raise MemoryError
    program = _Program()
    try:
        text = expression.encode("utf-8", "surrogateescape")
        if library.pcap_compile(handle, ctypes.byref(program), text, 1, _NO_NETMASK):
            reason = library.pcap_geterr(handle).decode("utf-8", "replace")
            raise UsageError(f"-f {safe(expression, 200)}: {safe(reason, 400)}")
        found = [
            Instruction(instruction.code, instruction.jt, instruction.jf, instruction.k)
            for instruction in program.instructions[: program.length]
        ]
        library.pcap_freecode(ctypes.byref(program))
    finally:
        library.pcap_close(handle)
    return found


def _library() -> ctypes.CDLL:
    for name in _LIBRARIES:
        try:
            library = ctypes.CDLL(name)
        except OSError:
            continue
        library.pcap_open_dead.restype = ctypes.c_void_p
        library.pcap_open_dead.argtypes = [ctypes.c_int, ctypes.c_int]
        library.pcap_geterr.restype = ctypes.c_char_p
        library.pcap_geterr.argtypes = [ctypes.c_void_p]
        library.pcap_compile.argtypes = [
            ctypes.c_void_p, ctypes.POINTER(_Program), ctypes.c_char_p, ctypes.c_int, ctypes.c_uint32
        ]  # fmt: skip
        library.pcap_close.argtypes = [ctypes.c_void_p]
        library.pcap_freecode.argtypes = [ctypes.POINTER(_Program)]
        return library
    raise MissingToolError(
        "-f needs libpcap, which compiles the filter: install it (Debian and Ubuntu: apt-get install "
        "libpcap0.8; Fedora: dnf install libpcap)"
    )
