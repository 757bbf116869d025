"""The Hello itself: damaged, cut, split, strange, or not one at all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from amtdiag.devices.evidence import DeviceEvidence
from amtdiag.model import Finding, HelloEvent, Unknown
from amtdiag.protocols.hello import is_junk_uuid
from amtdiag.rules.base import DeviceRule, Picking, flow_filter, frames, picked_by, rule


class _HelloRule(DeviceRule):
    """A rule that picks Hellos and says one sentence of them all."""

    _members: ClassVar[list[Picking]] = []
    subject = staticmethod(picked_by(_members, lambda device: [record.event for record in device.hellos]))

    def __init_subclass__(cls) -> None:
        """Take note of the rule: all of them go through the Hellos of a device at once."""
        cls._members.append(cls)

    @staticmethod
    def picks(event: HelloEvent) -> bool:
        """Tell whether the rule is about this Hello."""
        raise NotImplementedError

    def sentence(self, first: HelloEvent) -> str:
        """Say what is the matter with such Hellos, by the first of them."""
        raise NotImplementedError

    def look(self, device: DeviceEvidence) -> Iterator[Finding | Unknown]:
        """One finding for all Hellos of the device that the rule picks."""
        return self.examine(device, type(self).subject(device))

    def examine(
        self, device: DeviceEvidence, picked: dict[str, list[HelloEvent]]
    ) -> Iterator[Finding | Unknown]:
        """Look at the Hellos that it picks."""
        events = picked.get(self.id)
        if events:
            yield self.about(device, events, self.sentence(events[0]), flow_filter(events[0].ends))


def _is_cut_by_capture(event: HelloEvent) -> bool:
    return any("not in the capture" in text or "cut by the capture" in text for text in event.hello.problems)


@rule
class HelloDamaged(_HelloRule):
    """The Hello stops before its list does, and the sender closed it like that."""

    id = "hello-damaged"
    precedence = 600
    title = "A Hello is cut or malformed"
    label = "damaged"
    severity = "warning"
    confidence = "medium"
    remedy = (
        "Compare with a capture on the device's own segment; if it is cut there too, update the firmware."
    )
    source = "Layout of the Hello in Intel's AMT guide"
    example = (("hello", 0, {"cut_by": "sender"}),)
    near_miss = (("hello", 0, {"cut_by": "capture"}),)

    @staticmethod
    def picks(event: HelloEvent) -> bool:
        """Documented version, incomplete, and not because of the capture."""
        hello = event.hello
        return not hello.complete and hello.type != "unknown" and not _is_cut_by_capture(event)

    def sentence(self, first: HelloEvent) -> str:
        """Name the first problem."""
        return f"The Hello in {frames(first.evidence)} is not whole: {first.hello.problems[-1]}."


@rule
class CaptureLoss(_HelloRule):
    """Bytes of a Hello were sent, but are not in the capture."""

    id = "capture-loss"
    precedence = 810
    title = "The capture lost bytes of a Hello"
    category = "capture"
    severity = "info"
    remedy = "Capture with full packet length (snap length 262144) and a larger buffer, close to the device."
    source = "TCP sequence numbers; captured against original packet length"
    example = (("hello", 0, {"cut_by": "capture"}),)
    near_miss = (("hello", 0, {"cut_by": "sender"}),)

    @staticmethod
    def picks(event: HelloEvent) -> bool:
        """Incomplete because of the capture."""
        return not event.hello.complete and _is_cut_by_capture(event)

    def sentence(self, first: HelloEvent) -> str:
        """Name the first problem."""
        problem = next((text for text in first.hello.problems if "capture" in text), "bytes are missing")
        return f"The Hello in {frames(first.evidence)} cannot be read to its end: {problem}."


@rule
class HelloSplit(_HelloRule):
    """The Hello came in several segments."""

    id = "hello-split"
    precedence = 730
    title = "The Hello comes in several segments"
    catalogue = "F58"
    row = "a Hello in two segments"
    severity = "info"
    remedy = (
        "Nothing to do unless the server is MeshCentral up to 1.1.55, which keeps only the first segment and "
        "then misses the last digests: raise the MSS on the path or update the server."
    )
    source = "MeshCentral's source, and a recording of its server"
    example = (("hello", 0, {"segments": 2}),)
    near_miss = (("hello", 0, {"segments": 2, "cut_by": "sender"}),)

    @staticmethod
    def picks(event: HelloEvent) -> bool:
        """A whole PKI Hello in more than one segment."""
        return event.segments > 1 and event.hello.complete

    def sentence(self, first: HelloEvent) -> str:
        """Name the segments."""
        return f"The Hello came in {first.segments} TCP segments ({frames(first.evidence)}); it is whole."


@rule
class PidCheckFailed(_HelloRule):
    """The PID's check character does not fit."""

    id = "pid-check-failed"
    precedence = 620
    title = "The PID's check character is wrong"
    category = "security"
    severity = "warning"
    remedy = (
        "MEBx and the USB reader refuse such a PID, so the sender is no AMT device, is spoofed, or the bytes "
        "were damaged on the way. Find the host by its address and MAC."
    )
    source = "Intel's AMT guide, PID/PPS checksum"
    example = (("hello", 0, {"pid": "0000037N"}),)
    near_miss = (("hello", 0, {"pid": "0000037M"}),)

    @staticmethod
    def picks(event: HelloEvent) -> bool:
        """PSK with a wrong PID."""
        return event.hello.pid_check_ok is False

    def sentence(self, first: HelloEvent) -> str:
        """Show the PID."""
        return f"The PID {first.hello.pid} does not fit its check character."


@rule
class AdminCredentialsUnset(_HelloRule):
    """The device says that its administrator password is still the factory's."""

    id = "admin-credentials-unset"
    precedence = 710
    title = "The administrator password is still the default"
    category = "security"
    severity = "warning"
    remedy = "Set the MEBx password before the machine leaves staging; the default is known to everybody."
    source = "Intel's AMT guide, Hello message: administrator credentials flag"
    example = (("hello", 0, {"admin_credentials": 0}),)
    near_miss = (("hello", 0, {"admin_credentials": None}),)

    @staticmethod
    def picks(event: HelloEvent) -> bool:
        """Flag 0."""
        return event.hello.admin_credentials == 0

    def sentence(self, first: HelloEvent) -> str:
        """Name the frame."""
        return (
            "The Hello says that no administrator credentials are set "
            f"({frames(first.evidence)}): MEBx still takes its default password."
        )


@rule
class JunkUuid(_HelloRule):
    """The UUID is one that many boards share."""

    id = "junk-uuid"
    precedence = 610
    title = "The UUID identifies nobody"
    label = "shared UUID"
    severity = "warning"
    remedy = "Have the vendor's tool write a proper UUID into the SMBIOS: servers key their records by it."
    source = "SMBIOS specification; UUIDs seen on many boards"
    example = (("hello", 0, {"uuid": "03000200-0400-0500-0006-000700080009"}),)
    near_miss = (("hello", 0, {"uuid": "03000200-0400-0500-0006-000700080008"}),)

    @staticmethod
    def picks(event: HelloEvent) -> bool:
        """A placeholder UUID."""
        uuid = event.hello.uuid
        return uuid is not None and is_junk_uuid(uuid)

    def sentence(self, first: HelloEvent) -> str:
        """Show the UUID."""
        return f"The Hello carries the UUID {first.hello.uuid}, which many boards share."


@rule
class UndocumentedVersion(_HelloRule):
    """A Hello of a version that no document describes."""

    id = "undocumented-version"
    precedence = 720
    title = "A Hello of an undocumented version"
    severity = "info"
    confidence = "low"
    remedy = "Keep the capture: only the header of such a message can be read."
    source = "Intel's AMT guide documents versions 2 and 3 only"
    example = (("hello", 0, {"version": 4}),)
    near_miss = (("hello", 0, {"version": None}),)

    @staticmethod
    def picks(event: HelloEvent) -> bool:
        """Neither 2 nor 3."""
        return event.hello.version is not None and event.hello.type == "unknown"

    def sentence(self, first: HelloEvent) -> str:
        """Show the version."""
        return f"The Hello has version {first.hello.version}; only its header was read."
