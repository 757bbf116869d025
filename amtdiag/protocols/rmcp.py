"""RMCP presence ping and pong, the only plain statement of a device's mode. Does no input or output.

Sources: DMTF DSP0136 (ASF 2.0), sections 3.2.2 (RMCP header), 3.2.2.3 (ASF data) and 3.2.4.3 (pong). What an
Intel device puts where ASF leaves bytes to the manufacturer: Intel's AMT guide, "Use RMCP ping to determine
the platform state", and MeshCommander's scanner. The guide counts the pong's data from 1, this module from
the start of the UDP payload.
"""

from collections.abc import Iterator
from typing import NamedTuple

from amtdiag.capture.decode.packet import Segment
from amtdiag.model import Evidence, Mode, PingEvent, PongEvent
from amtdiag.protocols.addresses import address_text
from amtdiag.protocols.protocol import Field, LaneReader, Port, Protocol

# Layout (DSP0136, 3.2.2 and 3.2.2.3).
VERSION = 0
CLASS = 3
IANA_ENTERPRISE = slice(4, 8)
MESSAGE_TYPE = 8
MESSAGE_TAG = 9
_DATA = 12
RMCP_1 = 6
CLASS_ASF = 6
ASF = (4542).to_bytes(4)
"""IANA's enterprise number of the Alerting Standards Forum."""
PRESENCE_PONG, PRESENCE_PING = 0x40, 0x80

# The data of an Intel device's pong (DSP0136, 3.2.4.3: enterprise number, then OEM-defined).
PONG_ENTERPRISE = slice(12, 16)
PONG_PORT = slice(16, 18)
PONG_VERSION_NIBBLES = 18
PONG_STATE = 19
PONG_MAJOR, PONG_MINOR = 22, 23
_PONG_LENGTH = 24
INTEL = (343).to_bytes(4)
_STATE_BITS = 3
_MODES: dict[int, Mode] = {0: "factory", 1: "setup", 2: "operational"}
_STATES_SINCE = 6
"""AMT release from which on a pong holds state and version."""
_MAX_PAIRS = 65_536
"""Pairs of addresses that are remembered so that no ping is reported twice."""


class Ping(NamedTuple):
    """A console asks whether a managed device is there."""

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


_TAG = Field("tag", "number", "message tag (DSP0136, 3.2.2.3)")
FIELDS = {
    Ping: (_TAG,),
    PresencePong: (
        _TAG,
        Field("port", "number", "OEM-defined, bytes 0-1 (DSP0136, 3.2.4.3; AMT guide)"),
        Field("version", "number", "OEM-defined, byte 2 or bytes 6-7 behind the enterprise number"),
        Field("mode", "word", "OEM-defined, byte 3, bits 0-1"),
    ),
}


def parse(data: bytes) -> Ping | PresencePong | None:
    """Read a presence ping, or an Intel device's pong; None for anything else. Never raises."""
    is_asf = len(data) >= _DATA and data[VERSION] == RMCP_1 and data[CLASS] == CLASS_ASF
    if not is_asf or data[IANA_ENTERPRISE] != ASF:
        return None
    tag = data[MESSAGE_TAG]
    if data[MESSAGE_TYPE] == PRESENCE_PING:
        return Ping(tag)
    if data[MESSAGE_TYPE] != PRESENCE_PONG or len(data) < _PONG_LENGTH or data[PONG_ENTERPRISE] != INTEL:
        return None
    nibbles, major = data[PONG_VERSION_NIBBLES], data[PONG_MAJOR]
    version = f"{nibbles >> 4}.{nibbles & 15}" if nibbles else None
    if version is None and major:
        version = f"{major}.{data[PONG_MINOR]}"
    has_state = bool(nibbles) or major >= _STATES_SINCE
    mode = _MODES.get(data[PONG_STATE] & _STATE_BITS, "unknown") if has_state else "unknown"
    return PresencePong(tag, int.from_bytes(data[PONG_PORT]) or None, version, mode)


class RmcpReader(LaneReader):
    """Reads pongs, and of pings the first to each address: who is asked is what matters."""

    def __init__(self) -> None:
        """Begin with no ping read."""
        self._pinged: set[tuple[str, str]] = set()

    def read(self, datagram: Segment, evidence: tuple[Evidence, ...]) -> Iterator[PingEvent | PongEvent]:
        """Yield the event of a message."""
        message = parse(datagram.payload)
        source, target = address_text(datagram.src), address_text(datagram.dst)
        if isinstance(message, PresencePong):
            yield PongEvent(
                datagram.ts, source, target, message.mode, message.version, message.port, evidence
            )
        elif message is not None and (source, target) not in self._pinged:
            if len(self._pinged) >= _MAX_PAIRS:
                self._pinged.clear()
            self._pinged.add((source, target))
            yield PingEvent(datagram.ts, source, target, evidence)


PROTOCOL = Protocol(
    "rmcp",
    "RMCP",
    ports=(
        Port("rmcp", 623, "udp", "lane", "RMCP"),
        Port("rmcp", 664, "udp", "lane", "secure RMCP"),
    ),
    lane=RmcpReader,
)
