"""The digest list: roots that no catalogue names, weak or expired ones, and whether mine is among them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import ClassVar

from amtdiag.config import Options
from amtdiag.devices.evidence import DeviceEvidence
from amtdiag.model import Category, Finding, HelloRecord, JudgedDigest, OwnRoot, Unknown
from amtdiag.rules.base import DeviceRule, flow_filter, frames, rule
from amtdiag.rules.schedule import several_hellos
from amtdiag.trust.verdicts import EXPIRED, UNKNOWN, WEAK, ZERO, carries

_NAMES_SHOWN = 3


def latest_list(device: DeviceEvidence) -> HelloRecord | None:
    """The last Hello with digests: what the device trusts now."""
    for record in reversed(device.hellos):
        if record.digests:
            return record
    return None


class _ListRule(DeviceRule):
    """A rule about digests with a certain verdict."""

    subject = staticmethod(latest_list)

    verdict: ClassVar[str]
    category: ClassVar[Category] = "security"

    def sentence(self, found: Sequence[JudgedDigest], listed: int) -> str:
        """Say what is the matter with these digests."""
        raise NotImplementedError

    def look(self, device: DeviceEvidence) -> Iterator[Finding | Unknown]:
        """One finding a device, about its latest list."""
        return self.examine(device, latest_list(device))

    def examine(self, device: DeviceEvidence, record: HelloRecord | None) -> Iterator[Finding | Unknown]:
        """Look at its latest list."""
        found = record.judgement.by_verdict.get(self.verdict) if record is not None else None
        if record is not None and found:
            yield self.finding(
                device,
                self.sentence(found, len(record.digests)),
                record.event.evidence,
                flow_filter(record.event.ends),
                times=[record.event.ts],
                count=len(found),
            )


def _names(found: Sequence[JudgedDigest]) -> str:
    names = [digest.name or digest.digest.value.hex()[:16] for digest in found]
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return ", ".join(names[:_NAMES_SHOWN]) + more


def _roots(count: int) -> str:
    return "1 root" if count == 1 else f"{count} roots"


@rule
class UnknownDigest(_ListRule):
    """A digest that no catalogue names: added by the user or the OEM, or planted."""

    id = "unknown-digest"
    precedence = 700
    title = "The device trusts a root that no catalogue names"
    severity = "warning"
    confidence = "medium"
    verdict = UNKNOWN
    remedy = (
        "Compare with your own CA (--root-of) and with what the OEM ships. A digest that neither of you "
        "added lets its owner take the machine: delete it in MEBx or by a full unprovision."
    )
    source = "Intel's AMT guide: up to three digests can be added; catalogue of built-in roots"
    example = (("hello", 0, {"digests": ("DigiCert Global Root G2", "01" * 32)}),)
    near_miss = (("hello", 0, {"digests": ("DigiCert Global Root G2", "00" * 32)}),)

    def sentence(self, found: Sequence[JudgedDigest], listed: int) -> str:
        """Show the beginnings of the digests."""
        what = "1 digest" if len(found) == 1 else f"{len(found)} digests"
        return f"{what} of {listed} in no catalogue of built-in roots: {_names(found)}."


@rule
class WeakRoot(_ListRule):
    """Roots with a short key or an old signature."""

    id = "weak-root"
    precedence = 760
    title = "The device trusts weak roots"
    severity = "info"
    verdict = WEAK
    remedy = (
        "Update the firmware, or deactivate these digests in MEBx. A provisioning certificate that chains to "
        "one of them is refused from ME 15.0-H and 16.0 on: use a SHA-256 root."
    )
    source = "Keys and signatures of the certificates themselves; Intel's AMT guide; Intel KB 000090051"
    example = (
        ("hello", 0, {"digests": ("DigiCert Global Root G2", "Go Daddy Class 2 Certification Authority")}),
    )
    near_miss = (("hello", 0, {"digests": ("DigiCert Global Root G2", "01" * 32)}),)

    def sentence(self, found: Sequence[JudgedDigest], listed: int) -> str:
        """Name some."""
        what = "with a 1024-bit key or an MD2, MD5 or SHA-1 signature"
        return f"{len(found)} of {_roots(listed)} {what}: {_names(found)}."


@rule
class ExpiredRoot(_ListRule):
    """Roots that had expired when the capture was taken."""

    id = "expired-root"
    precedence = 770
    title = "The device trusts expired roots"
    severity = "info"
    verdict = EXPIRED
    remedy = "Do not chain the provisioning certificate to one of them; update the firmware."
    source = "Validity of the certificates themselves, against the time of the capture"
    example = (("hello", 0, {"digests": ("DigiCert Global Root G2", "Baltimore CyberTrust Root")}),)
    near_miss = (("hello", -294 * 86_400, {"digests": ("Baltimore CyberTrust Root",)}),)

    def sentence(self, found: Sequence[JudgedDigest], listed: int) -> str:
        """Name some."""
        return f"{len(found)} of {_roots(listed)} expired before this capture: {_names(found)}."


@rule
class ZeroDigest(_ListRule):
    """A digest of zeros."""

    id = "zero-digest"
    precedence = 630
    title = "The list holds a digest of zeros"
    label = "zero digest"
    severity = "warning"
    category = "provisioning"
    verdict = ZERO
    remedy = "Delete the entry in MEBx and enter the digest again; a full unprovision clears added digests."
    source = "Layout of the Hello in Intel's AMT guide"
    example = (("hello", 0, {"digests": ("DigiCert Global Root G2", "00" * 32)}),)
    near_miss = (("hello", 0, {"digests": ("DigiCert Global Root G2", "00" * 31 + "01")}),)

    def sentence(self, found: Sequence[JudgedDigest], listed: int) -> str:
        """Name the places."""
        places = ", ".join(str(digest.digest.index) for digest in found)
        return f"Digest {places} of the {listed} in the list is all zero."


def _whole_lists(device: DeviceEvidence) -> list[HelloRecord]:
    """Hellos with all their digests: only those tell what a list lacks."""
    return [record for record in device.hellos if record.digests and record.event.hello.complete]


def _unnamed(record: HelloRecord) -> dict[bytes, JudgedDigest]:
    """The digests of a list that no catalogue names: added ones."""
    return {digest.digest.value: digest for digest in record.digests if UNKNOWN in digest.verdicts}


class _ListChange(DeviceRule):
    """A rule about added digests that come or go from one Hello to the next."""

    subject = staticmethod(several_hellos)
    category: ClassVar[Category] = "security"

    def changes(self, before: HelloRecord, after: HelloRecord) -> list[JudgedDigest]:
        """Return the digests that make the difference."""
        raise NotImplementedError

    def sentence(self, found: Sequence[JudgedDigest], before: str, after: str) -> str:
        """Say what changed between two frames."""
        raise NotImplementedError

    def look(self, device: DeviceEvidence) -> Iterator[Finding | Unknown]:
        """Two whole lists of one device, one after the other, with one digest of difference or more."""
        if len(device.macs) > 1:
            return  # two machines with one UUID have two lists
        for before, after in pairwise(_whole_lists(device)):
            found = self.changes(before, after)
            if found:
                events = (before.event, after.event)
                yield self.about(
                    device,
                    events,
                    self.sentence(found, *(frames(event.evidence) for event in events)),
                    flow_filter(after.event.ends),
                    count=len(found),
                )
                return


@rule
class DigestVanished(_ListChange):
    """A digest that somebody had added is no longer in the device's list."""

    id = "digest-vanished"
    precedence = 680
    title = "A root that was added to the device is gone"
    label = "added root gone"
    catalogue = "F31"
    row = "a digest that was added is gone"
    category = "provisioning"
    severity = "warning"
    remedy = (
        "A full unprovision erases digests that were added: add yours again with a USB file or in MEBx, and "
        "use partial unprovision next time. Where nobody unprovisioned the device, look who did."
    )
    source = "Intel's AMT guide on restoring factory mode; Open AMT documentation"
    example = (
        ("hello", 0, {"digests": ("DigiCert Global Root G2", "aa" * 32)}),
        ("hello", 60, {"digests": ("DigiCert Global Root G2",)}),
    )
    near_miss = (
        ("hello", 0, {"digests": ("DigiCert Global Root G2", "Go Daddy Class 2 Certification Authority")}),
        ("hello", 60, {"digests": ("DigiCert Global Root G2",)}),
    )

    def changes(self, before: HelloRecord, after: HelloRecord) -> list[JudgedDigest]:
        """Unnamed digests of the earlier list that the later lacks."""
        left = {digest.digest.value for digest in after.digests}
        return [digest for value, digest in _unnamed(before).items() if value not in left]

    def sentence(self, found: Sequence[JudgedDigest], before: str, after: str) -> str:
        """Say when it was there."""
        are = "is" if len(found) == 1 else "are"
        return (
            f"{_names(found)} {are} in the list of one Hello ({before}) and not in that of a later ({after})."
        )


@rule
class DigestAdded(_ListChange):
    """A digest that no catalogue names has come into the device's list while it was watched."""

    id = "digest-added"
    precedence = 690
    title = "A root that no catalogue names was added to the device"
    label = "root added"
    severity = "warning"
    remedy = (
        "If you have just added your own root, all is well (compare with --root-of). If nobody did, somebody "
        "has planted a root: whoever owns it can take the machine."
    )
    source = "Intel's AMT guide: up to three digests can be added; one real device whose list changed so"
    example = (
        ("hello", 0, {"digests": ("DigiCert Global Root G2",)}),
        ("hello", 60, {"digests": ("DigiCert Global Root G2", "aa" * 32)}),
    )
    near_miss = (
        ("hello", 0, {"digests": ("DigiCert Global Root G2",), "cut_by": "capture"}),
        ("hello", 60, {"digests": ("DigiCert Global Root G2", "aa" * 32)}),
    )

    def changes(self, before: HelloRecord, after: HelloRecord) -> list[JudgedDigest]:
        """Unnamed digests that only the later list has."""
        there = {digest.digest.value for digest in before.digests}
        return [digest for value, digest in _unnamed(after).items() if value not in there]

    def sentence(self, found: Sequence[JudgedDigest], before: str, after: str) -> str:
        """Say since when it is there."""
        are = "is" if len(found) == 1 else "are"
        return (
            f"{_names(found)} {are} not in the list of one Hello ({before}) and in that of a later ({after})."
        )


def own_root(cases: Iterable[DeviceEvidence], options: Options) -> OwnRoot | None:
    """Sort the devices by whether they carry the caller's root; None where the caller named none."""
    if not options.root_digests:
        return None
    carried, lacking, unknown = [], [], []
    for device in cases:
        record = latest_list(device)
        if record is not None and carries(record.digests, options.root_digests):
            carried.append(device.id)
        elif record is not None and record.event.hello.complete:
            lacking.append(device.id)
        else:
            unknown.append(device.id)
    return OwnRoot(options.root_name or "your root", tuple(carried), tuple(lacking), tuple(unknown))


@rule
class RootNotListed(DeviceRule):
    """The caller's own root is not in the device's list."""

    subject = "hellos"
    option = "root_digests"
    id = "root-not-listed"
    precedence = 200
    title = "The device does not carry the digest of your root"
    label = "root not listed"
    catalogue = "F18"
    row = "no root of the server's is in the device's list"
    remedy = (
        "Use a chain whose root this firmware lists (`amtdiag roots`), add the digest in MEBx or with a USB "
        "file, or update the firmware."
    )
    source = "MeshCentral's message, issues 4901 and 3855; Intel's AMT guide on remote configuration"
    example = (("hello", 0),)
    near_miss = (("hello", 0, {"digests": ("DigiCert Global Root G2", "aa" * 32)}),)

    def look(self, device: DeviceEvidence) -> Iterator[Finding | Unknown]:
        """Only with --root-of, and only where the list is whole."""
        record = latest_list(device)
        if (
            record is None
            or not self.options.root_digests
            or carries(record.digests, self.options.root_digests)
        ):
            return
        name = self.options.root_name or "your root"
        if not record.event.hello.complete:
            yield Unknown(
                f"whether the device carries {name}",
                "its digest list is not whole in this capture",
                device.id,
                "a capture with full packet length",
            )
            return
        yield self.finding(
            device,
            f"{name} is not among the {len(record.digests)} digests of the device "
            f"({frames(record.event.evidence)}).",
            record.event.evidence,
            flow_filter(record.event.ends),
            times=[record.event.ts],
        )
