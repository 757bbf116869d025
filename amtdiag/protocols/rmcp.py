"""RMCP presence ping and pong, the only plain statement of a device's mode. Does no input or output.

Sources: ASF 2.0; Intel's AMT guide, "Use RMCP ping to determine the platform state"; MeshCommander's scanner.
The guide counts the pong's data from 1, this module from the start of the UDP payload.
"""

from __future__ import annotations

from typing import NamedTuple

from amtdiag.model import Mode

_ASF = b"\x00\x00\x11\xbe"
_PING, _PONG = 0x80, 0x40
_INTEL = b"\x00\x00\x01\x57"
_MODES: dict[int, Mode] = {0: "factory", 1: "setup", 2: "operational"}


class Ping(NamedTuple):
    """Somebody asks whether a managed device is there."""

    tag: int


class PresencePong(NamedTuple):
    """An Intel device answers."""

    tag: int
    port: int | None
    """Open AMT port; None where AMT is there but not set up."""
    version: str | None
    """major.minor; None before 4.0 and where the device does not say."""
    mode: Mode
    """unknown before 6.0, which does not say."""


def parse(data: bytes) -> Ping | PresencePong | None:
    """Read a presence ping, or an Intel device's pong; None for anything else."""
    if len(data) < 12 or data[0] != 6 or data[3] != 6 or data[4:8] != _ASF:
        return None
    if data[8] == _PING:
        return Ping(data[9])
    if data[8] != _PONG or len(data) < 24 or data[12:16] != _INTEL:
        return None
    nibbles = data[18]
    version = f"{nibbles >> 4}.{nibbles & 15}" if nibbles else None
    if version is None and data[22]:
        version = f"{data[22]}.{data[23]}"
    # State and version are there from 6.0 on.
    says_state = bool(nibbles) or data[22] >= 6
    mode = _MODES.get(data[19] & 3, "unknown") if says_state else "unknown"
    return PresencePong(data[9], int.from_bytes(data[16:18]) or None, version, mode)
