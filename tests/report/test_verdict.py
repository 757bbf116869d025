"""The sentence that a tired administrator reads first."""

from __future__ import annotations

import pytest
from helpers import SAMPLES

from amtdiag.pipeline import diagnose
from amtdiag.report.verdict import verdict


@pytest.mark.parametrize(
    ("sample", "begins"),
    [
        (
            "two-answers.pcapng",
            "Security first: two answers name different provisioning servers. 1 device seen",
        ),
        (
            "dns-bare-only.pcapng",
            "No Hello in this capture. 1 of 1 device is stuck. First to fix: DHCP gives the device no domain",
        ),
        ("recorded/mesh_closed.pcapng", "1 of 1 device is stuck. First to fix: the way back to the device"),
        ("one-way-capture.pcap", "1 device seen; whether anything stops it cannot be told"),
        (
            "tls-cut-by-device.pcapng",
            "1 of 1 device is stuck. First to fix: the server's root is not in the device's list",
        ),
        ("pki-connects.pcapng", "1 device seen; nothing in this capture stops it."),
        ("not-a-hello.pcapng", "No AMT device was seen: no Hello, and no attempt to send one."),
        (
            "lab/no-option-6.pcapng",
            "No AMT device was seen: no Hello, and no attempt to send one. But 1 machine has a fault in the",
        ),
        ("lab/cira.pcapng", "No Hello in this capture. 1 device seen; nothing"),
        (
            "lab/wrong-port.pcapng",
            "No Hello in this capture. 1 of 1 device is stuck. First to fix: the device",
        ),
    ],
)
def test_the_verdict(sample: str, begins: str) -> None:
    assert verdict(diagnose([SAMPLES / sample])).startswith(begins)
