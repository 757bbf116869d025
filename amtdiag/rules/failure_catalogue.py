"""The failure catalogue and the security table, row by row: which rules speak of each, or why none does.

A row that no rule names as its own has a reason here, so that nobody takes silence for health. Sources of the
rows: Intel's AMT guide, vendors' manuals, public issues; each rule names its own.
"""

from __future__ import annotations

from typing import NamedTuple


class CatalogueRow(NamedTuple):
    """One way in which provisioning fails, or one danger."""

    title: str
    seen_by: tuple[str, ...] = ()
    """Rules that speak of it without having it as their own row."""
    why_not: str = ""
    """Why a capture cannot show it, or shows no more than another row."""


ROWS: dict[str, CatalogueRow] = {
    "F01": CatalogueRow("DNS has no record for the server"),
    "F02": CatalogueRow("the device has no suffix to ask with"),
    "F03": CatalogueRow("the lease has no option 15"),
    "F04": CatalogueRow("the lease has no DNS server"),
    "F05": CatalogueRow("DNS names an old or foreign address"),
    "F06": CatalogueRow("DNS does not answer"),
    "F07": CatalogueRow("the server refuses the Hello's connection"),
    "F08": CatalogueRow("a firewall drops the Hello's connection"),
    "F09": CatalogueRow("the device uses another port"),
    "F10": CatalogueRow("the server takes the Hello and does nothing"),
    "F11": CatalogueRow("the way back to the device is closed"),
    "F12": CatalogueRow("the server connects to another address"),
    "F13": CatalogueRow("the server does not know the PID"),
    "F14": CatalogueRow("the PPS of both sides differ"),
    "F15": CatalogueRow("the server offers no PSK suite"),
    "F16": CatalogueRow("a PSK site gets a device that knows no PSK"),
    "F17": CatalogueRow("a PKI site gets a device that has a PID"),
    "F18": CatalogueRow("no root of the server's is in the device's list"),
    "F19": CatalogueRow("the device refuses a chain whose root it does not list"),
    "F20": CatalogueRow("SHA-1 in the chain, refused from ME 15.0-H and 16.0 on"),
    "F21": CatalogueRow("an RSA key below 2048 bits in the chain"),
    "F22": CatalogueRow("the certificate's domain is not that of option 15"),
    "F23": CatalogueRow("option 15 is an internal domain, for which no public CA sells certificates"),
    "F24": CatalogueRow("the certificate has neither the provisioning OID nor the OU"),
    "F25": CatalogueRow("the certificate lacks server authentication"),
    "F26": CatalogueRow("the chain is not whole"),
    "F27": CatalogueRow("the chain is out of order"),
    "F28": CatalogueRow("a certificate is not valid at that time"),
    "F29": CatalogueRow("the chain ends in another root of the same CA than the device lists"),
    "F30": CatalogueRow("the chain looks right and is refused: the digest may be inactive"),
    "F31": CatalogueRow("a digest that was added is gone"),
    "F32": CatalogueRow("the password is wrong"),
    "F33": CatalogueRow("the admin flag is not what the records say", seen_by=("admin-credentials-unset",)),
    "F34": CatalogueRow("the device has used up its Hellos"),
    "F35": CatalogueRow("the setup window has closed"),
    "F36": CatalogueRow(
        "a notebook whose window is set to 0 says no Hello",
        seen_by=("not-looking",),
        why_not="nothing is sent; only a pong can show that the device is there",
    ),
    "F37": CatalogueRow("the device starts over again and again"),
    "F38": CatalogueRow("two machines have one UUID"),
    "F39": CatalogueRow("two devices share one address"),
    "F40": CatalogueRow("the device's address changes midway"),
    "F41": CatalogueRow(
        "a machine on Wi-Fi only says no Hello",
        why_not="nothing is sent over Wi-Fi, and a capture does not tell how a silent machine is connected",
    ),
    "F42": CatalogueRow(
        "an 802.1X port lets the operating system in and not the ME",
        seen_by=("no-lease", "not-looking"),
        why_not="EAPOL stays between the port and the switch; what is left of the device is silence",
    ),
    "F43": CatalogueRow(
        "the VLAN of MEBx is not that of the port",
        seen_by=("no-lease", "dns-silent", "server-silent"),
        why_not="it looks like a DHCP server that does not answer; which VLAN is right, it does not show",
    ),
    "F44": CatalogueRow("a site with IPv6 only"),
    "F45": CatalogueRow(
        "AMT was enabled after the lease was given",
        seen_by=("not-looking",),
        why_not="the device sends nothing; only a pong can show that it is there",
    ),
    "F46": CatalogueRow("no DHCP where the agent says NOT_READY"),
    "F47": CatalogueRow("the versions of TLS do not meet, or renegotiation is not secure"),
    "F48": CatalogueRow("the server falls back to the plain port"),
    "F49": CatalogueRow("the plain ports are gone from 16.1 on"),
    "F50": CatalogueRow(
        "AddNextCertInChain is refused",
        why_not="host-based setup runs inside the machine; from outside only where its session is in clear",
    ),
    "F51": CatalogueRow(
        "activation ends in client control",
        seen_by=("no-option-15",),
        why_not="which control mode was reached is said inside the machine; its cause is in the lease",
    ),
    "F52": CatalogueRow(
        "CIRA does not come up on the internal network",
        why_not="by design: environment detection knows option 15 as home, and the device sends nothing",
    ),
    "F53": CatalogueRow("leftovers of an earlier setup make calls fail"),
    "F54": CatalogueRow("after the commit the device cannot shake hands any more"),
    "F55": CatalogueRow("a provisioned device says Hello again"),
    "F56": CatalogueRow("the server does not trust the device's On-Die certificate"),
    "F57": CatalogueRow("the device ends the session right after the password was set"),
    "F58": CatalogueRow("a Hello in two segments"),
    "F59": CatalogueRow("something else than a Hello on the Hello port"),
    "F60": CatalogueRow(
        "the one-time password does not match",
        why_not="it is compared inside the session; decrypted, it shows as a call that is refused",
    ),
}

DANGERS: tuple[CatalogueRow, ...] = (
    CatalogueRow("rogue provisioning server", ("two-answers", "unexpected-server", "server-not-from-dns")),
    CatalogueRow("rogue DHCP sets option 15", ("two-dhcp-servers", "another-dhcp-server")),
    CatalogueRow(
        "the device's identity is unproven before AMT 15",
        ("device-not-trusted",),
        "so it is with every device of that age: what a fake one would do differently is not documented",
    ),
    CatalogueRow(
        "inventory in the clear",
        why_not="every Hello tells UUID, PID and roots to whoever listens: there is no other kind of Hello",
    ),
    CatalogueRow("one PID for several devices", ("pid-reused",)),
    CatalogueRow("weak or expired roots are trusted", ("weak-root", "expired-root")),
    CatalogueRow("a root that nobody knows", ("unknown-digest", "digest-added")),
    CatalogueRow(
        "roots that browsers distrust",
        why_not="which these are changes by the month, and no source for it is kept here",
    ),
    CatalogueRow("the default password", ("admin-credentials-unset",)),
    CatalogueRow("management in the clear", ("plain-management", "falls-back-to-plain", "old-tls")),
    CatalogueRow("empty password digests (CVE-2017-5689)", ("empty-digest", "vulnerable-firmware")),
    CatalogueRow("a version that is told to everybody", ("vulnerable-firmware",)),
    CatalogueRow("TLS is driven down", ("falls-back-to-plain", "old-tls")),
    CatalogueRow("a device is unprovisioned in the clear", ("unprovisioned-in-clear",)),
    CatalogueRow("a device that was set up says Hello again", ("hello-after-operational",)),
    CatalogueRow(
        "redirection as a covert channel",
        ("plain-management",),
        "a session of an attacker looks like one of a console: who may have one is not in the capture",
    ),
    CatalogueRow("somebody looks for AMT devices", ("rmcp-sweep", "port-sweep")),
)
"""What the same packets mean to an attacker."""
