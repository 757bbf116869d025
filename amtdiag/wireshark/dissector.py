"""The Lua dissector: the parts in `lua/` with amtdiag's own tables, so that there is one truth of each."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterable, Iterator

from amtdiag._version import __version__
from amtdiag.protocols import hello
from amtdiag.trust.catalogue import by_digest

NAME = "intelamt.lua"
MARK = "-- Written by amtdiag"
"""What the file begins with: one that begins otherwise is not ours."""
_PARTS = ("lua/hello.lua", "lua/connections.lua", "lua/wireshark.lua")
"""Parser, TCP streams, Wireshark. A plugin is one file."""
_SLOT = "--@GENERATED@\n"


def lua_source() -> str:
    """Return the dissector, ready for Wireshark: ASCII, and the same each time."""
    parts = "\n".join((pkgutil.get_data(__package__, name) or b"").decode("ascii") for name in _PARTS)
    return f"{MARK} {__version__}\n{parts.replace(_SLOT, ''.join(_tables()))}"


def _tables() -> Iterator[str]:
    algorithms = (
        f"[{number}] = {{ name = {_quoted(name)}, length = {length} }}"
        for number, (name, length) in hello.ALGORITHMS.items()
    )
    placeholders = (f"[{_quoted(uuid)}] = {_quoted(text)}" for uuid, text in hello.PLACEHOLDER_UUIDS.items())
    # Digest: name, last day of the certificate, has a weak key or signature.
    catalogue = (
        f'["{digest.hex()}"] = {{ {_quoted(root.name)}, "{root.not_after}", {str(root.is_weak).lower()} }}'
        for digest, root in by_digest().items()
    )
    yield f"local MAX_RETRY = {hello.MAX_DOCUMENTED_RETRY}\n"
    yield f"local MAX_DIGESTS = {hello.MAX_DOCUMENTED_DIGESTS}\n"
    yield f"local PADDING = {hello.KNOWN_PADDING}\n"
    yield from _table("ALGORITHMS", algorithms)
    yield from _table("PLACEHOLDERS", placeholders)
    yield from _table("CATALOGUE", catalogue)


def _table(name: str, rows: Iterable[str]) -> Iterator[str]:
    yield f"local {name} = {{\n"
    for row in rows:
        yield f"    {row},\n"
    yield "}\n"


def _quoted(text: str) -> str:
    """A string in Lua: its bytes in UTF-8, those that are not plain as decimal escapes."""
    plain = (
        chr(byte) if 0x20 <= byte < 0x7F and byte not in b'"\\' else f"\\{byte:03}" for byte in text.encode()
    )
    return f'"{"".join(plain)}"'
