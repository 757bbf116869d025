"""The ports of all protocols, by what they are for."""

from __future__ import annotations

from amtdiag.protocols.apf import CIRA_PORT
from amtdiag.protocols.dns import DNS_PORT
from amtdiag.protocols.protocol import Port
from amtdiag.protocols.registry import PROTOCOLS

__all__ = ["CIRA_PORT", "DNS_PORT"]

PORTS: tuple[Port, ...] = tuple(port for protocol in PROTOCOLS.values() for port in protocol.ports)

HELLO_PORTS = tuple(port.number for port in PORTS if port.use == "hello")
"""Where a setup and configuration application waits for Hellos."""

DEVICE_PORTS = {port.number: port for port in PORTS if port.use == "device"}
"""Where a device listens; the server connects back to one of them."""

PLAIN_PORTS = frozenset(port.number for port in DEVICE_PORTS.values() if not port.tls)
"""Those of a device on which nothing is encrypted."""

MANAGEMENT_PORTS = {port.number: port for port in PORTS if port.use in ("device", "presence")}
"""The ports besides the Hello's whose connections show how far a device has come."""

LANE_PORTS = frozenset(port.number for port in PORTS if port.use == "lane" and port.transport == "tcp")
"""TCP ports whose connections carry the messages of a lane."""

TCP_PORTS = LANE_PORTS.union(MANAGEMENT_PORTS)
"""TCP ports besides the Hello's whose connections are read."""

DATAGRAM_PORTS = frozenset(port.number for port in PORTS if port.transport == "udp")
"""UDP ports whose datagrams are read."""
