"""Colouring rules for Wireshark: a file of them for a profile of its own.

Rules cannot be set from Lua, and a user's own file of them is never touched. So they come as a configuration
profile, which is a folder: whoever wants the colours chooses it, or imports the file into one of their own.
"""

from __future__ import annotations

from pathlib import Path

_MARK = b"# Written by amtdiag"
_MAX_BYTES = 1 << 20

RULES: tuple[tuple[str, str, str, str], ...] = (
    ("AMT: something is wrong with this Hello", "intelamt.problem", "a3333d", "ffffff"),
    ("AMT: a root that no catalogue names", 'intelamt.digest.verdict == "unknown"', "ffd166", "12272e"),
    ("AMT: Hello", "intelamt", "9fd8b4", "12272e"),
    (
        "AMT: connection back refused or broken off",
        "tcp.port in {664, 16992..16995} && tcp.flags.reset == 1",
        "d1495b",
        "ffffff",
    ),
    ("AMT: connection to a device", "tcp.port in {664, 16992..16995}", "cdd9f0", "12272e"),
    (
        "AMT: question for the provisioning server",
        'lower(dns.qry.name) contains "provisionserver"',
        "f3dcc2",
        "12272e",
    ),
    ("AMT: presence ping or pong", "udp.port in {623, 664}", "e3d3ee", "12272e"),
)
"""Name, display filter, background, text; the first that fits a packet gives its colour."""


def colour_rules(standard: Path | None) -> str:
    """Return the file: our rules, then those that Wireshark comes with, where their folder is known."""
    lines = [f"{_MARK.decode()}: rules for Intel AMT, then the standard ones"]
    lines += [f"@{name}@{shown}@{_rgb(back)}{_rgb(front)}" for name, shown, back, front in RULES]
    lines += _standard_rules(standard)
    return "\n".join(lines) + "\n"


def is_ours(content: bytes) -> bool:
    """True for a file that amtdiag wrote and Wireshark has not written since."""
    return content.startswith(_MARK)


def _standard_rules(folder: Path | None) -> list[str]:
    if folder is None:
        return []
    try:
        with (folder / "colorfilters").open(encoding="utf-8", errors="replace") as file:
            lines = file.read(_MAX_BYTES).splitlines()
    except OSError:
        return []
    return [line for line in lines if line.startswith(("@", "!@"))]


def _rgb(digits: str) -> str:
    """A colour as Wireshark writes it: 16 bits each of red, green and blue."""
    return "[{},{},{}]".format(*(byte * 257 for byte in bytes.fromhex(digits)))
