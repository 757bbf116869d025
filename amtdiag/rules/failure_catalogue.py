"""What no rule brings of the failure catalogue, and the security table: who speaks of each, or why none does.

A row of the catalogue stands in the rule that has it as its own (`Rule.row`). One that no rule has stands
here with its reason, so that silence is not taken for health. The rows come from Intel's AMT guide, manuals
of vendors and public issues; each rule names its source.
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
    "F33": CatalogueRow("the admin flag is not what the records say", seen_by=("admin-credentials-unset",)),
    "F36": CatalogueRow(
        "a notebook whose window is set to 0 says no Hello",
        seen_by=("not-looking",),
        why_not="nothing is sent; only a pong can show that the device is there",
    ),
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
    "F45": CatalogueRow(
        "AMT was enabled after the lease was given",
        seen_by=("not-looking",),
        why_not="the device sends nothing; only a pong can show that it is there",
    ),
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
