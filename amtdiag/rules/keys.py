"""Pre-shared keys: what a TLS-PSK handshake shows of PID and PPS."""

from __future__ import annotations

from amtdiag.model import Candidate
from amtdiag.rules.base import rule
from amtdiag.rules.handshake_failures import Broken, HandshakeCheck, Why


@rule
class PskNotOffered(HandshakeCheck):
    """The device has a pre-shared key, and the server offers no cipher suite for one."""

    id = "psk-not-offered"
    precedence = 350
    title = "The server offers the device no suite for its pre-shared key"
    label = "no PSK offered"
    catalogue = "F15"
    row = "the server offers no PSK suite"
    why: Why = "psk-not-offered"
    remedy = (
        "Use a server, or a TLS library in it, that speaks TLS-PSK (RFC 4279), or delete the PID and PPS in "
        "MEBx and provision by certificate."
    )
    source = "RFC 4279; Intel Technology Journal 12-4 on TLS-PSK with AMT"
    example = (("hello", 0, {"pid": "0000037M"}), ("tls", 1, {"alert": 40, "suites": (0xC02F, 0x00FF)}))
    near_miss = (("hello", 0, {"pid": "0000037M"}), ("tls", 1, {"alert": 40, "suites": (0xC02F, 0x008C)}))

    def sentence(self, broken: Broken) -> str:
        """Count the suites."""
        offered = f"none of the {len(broken.handshake.suites)} suites that are offered to it is for PSK"
        return f"The device said a PSK Hello; {offered}. {broken.refusal}."


@rule
class PskIdentityUnknown(HandshakeCheck):
    """The server uses a key under another name than the device's."""

    id = "psk-identity-unknown"
    precedence = 330
    title = "The server uses a PID that the device does not have"
    label = "PID unknown"
    catalogue = "F14"
    why: Why = "psk-identity"
    remedy = (
        "Compare the PID in the server's list with the one in the device's Hello; enter PID and PPS again."
    )
    source = "RFC 4279: the identity in the key exchange, and alert 115; Intel's AMT guide on PID and PPS"
    example = (
        ("hello", 0, {"pid": "0000037M"}),
        ("tls", 1, {"alert": 115, "psk_identity": "0000037M", "suites": (0x008C,), "suite": 0x008C}),
    )
    near_miss = (
        ("hello", 0, {"pid": "0000037M"}),
        ("tls", 1, {"alert": 20, "psk_identity": "0000037M", "suites": (0x008C,), "suite": 0x008C}),
    )

    def sentence(self, broken: Broken) -> str:
        """Name the PID that is used, and the device's own."""
        own = f", the device's Hello names the PID {broken.pid}" if broken.pid else ""
        return f"The server uses the PID {broken.handshake.psk_identity}{own}. {broken.refusal}."


@rule
class PskDiffers(HandshakeCheck):
    """Device and server have another key under the same PID."""

    id = "psk-differs"
    precedence = 340
    title = "The PPS of device and server differ"
    label = "PPS differs"
    catalogue = "F14"
    row = "the PPS of both sides differ"
    basis = "inferred"
    why: Why = "psk-key"
    remedy = (
        "Enter PID and PPS again on both sides. After a provisioning that succeeded before, the server may "
        "have replaced the key: the device then needs the new one, or a full unprovision."
    )
    source = (
        "RFC 4279 and 5246: alerts 20 and 51 after the client's Finished; Intel's AMT guide on PID and PPS"
    )
    example = (
        ("hello", 0, {"pid": "0000037M"}),
        ("tls", 1, {"alert": 20, "psk_identity": "0000037M", "suites": (0x008C,), "suite": 0x008C}),
    )
    near_miss = (
        ("hello", 0, {"pid": "0000037M"}),
        ("tls", 1, {"finished": True, "psk_identity": "0000037M", "suites": (0x008C,), "suite": 0x008C}),
    )

    def sentence(self, broken: Broken) -> str:
        """Say that the name of the key was right, and how far the handshake came."""
        tls = broken.handshake
        return (
            f"The server uses the PID {tls.psk_identity}, and the first message under the key fails. "
            f"{broken.refusal}.{_opened(broken)}"
        )

    def candidates(self, broken: Broken) -> tuple[Candidate, ...]:
        """Without an alert the key is the likeliest cause, not the only one."""
        if broken.alert is not None:
            return ()
        return (
            Candidate("the keys differ", "--psk with the PID and PPS of this device"),
            Candidate("the device closed for a reason of its own", "the same again after a restart of setup"),
        )


def _opened(broken: Broken) -> str:
    """Say whose key is the given one, where the caller gave one."""
    opened = broken.shown.opened_by
    return "" if opened is None else f" The server's key is {opened}: it is the device's that differs."
