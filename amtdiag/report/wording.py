"""The words and colours that all surfaces have for the same thing."""

from __future__ import annotations

from typing import Literal, get_args

from amtdiag.model import HelloType, Stage

STAGES: tuple[Stage, ...] = get_args(Stage)
"""In the order in which a device goes through them."""

Outcome = Literal["passed", "failed", "open"]
OUTCOMES: dict[bool | None, Outcome] = {True: "passed", False: "failed", None: "open"}
"""How a stage went, by `StageReached.passed`."""

HELLO_TYPES: dict[HelloType | None, str] = {"psk": "PSK", "pki": "PKI", "unknown": "?"}
"""The type of a Hello in short."""

LANES = {
    "dhcp": "DHCP",
    "dns": "DNS",
    "device_to_server": "device to server",
    "server_to_device": "server to device",
    "rmcp": "RMCP",
}
"""What a capture may show of a device, as people call it."""

SEVERITY_STYLES = {"critical": "bold red", "error": "red", "warning": "yellow", "info": "cyan"}
OUTCOME_STYLES: dict[Outcome, str] = {"passed": "green", "failed": "red", "open": "yellow"}
"""Of text in a terminal."""


def stage_name(stage: str) -> str:
    """Return a stage, or a lane of that name, as people read it."""
    return stage.replace("_", "-")


def count_devices(number: int) -> str:
    """Return such a number of devices in words."""
    return "1 device" if number == 1 else f"{number:,} devices"
