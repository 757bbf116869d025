"""The ports of AMT provisioning and management. Sources: Intel's AMT guide, MeshCentral, DASH firmware."""

from __future__ import annotations

from typing import Literal

Role = Literal["hello", "tls", "plain", "redirection", "redirection-tls", "cira"]

HELLO_PORTS = (9971, 9972)
"""Where a setup and configuration application waits for Hellos; 9972 is Realtek's default."""

DEVICE_PORTS: dict[int, Role] = {
    16992: "plain",
    16993: "tls",
    16994: "redirection",
    16995: "redirection-tls",
    664: "tls",
}
"""Where a device listens; the server connects back to one of them."""

CIRA_PORT = 4433
"""Where a management presence server usually waits for devices outside the company network."""

DNS_PORT = 53
DHCP_PORTS = (67, 68)
DHCPV6_PORTS = (546, 547)
RMCP_PORTS = (623, 664)
DATAGRAM_PORTS = frozenset({DNS_PORT, *DHCP_PORTS, *DHCPV6_PORTS, *RMCP_PORTS})
"""UDP ports whose datagrams tell of discovery and mode."""

OTHER_PORTS = frozenset({*DEVICE_PORTS, CIRA_PORT})
"""The ports besides the Hello's whose connections tell how far a device has come."""
