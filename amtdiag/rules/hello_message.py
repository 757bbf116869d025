"""The Hello itself: damaged, cut, split, strange, or not one at all."""

from __future__ import annotations

from collections.abc import Iterator

from amtdiag.devices.evidence import DeviceEvidence
from amtdiag.model import Finding, HelloRecord, Unknown
from amtdiag.protocols.hello import is_junk_uuid
from amtdiag.rules.base import DeviceRule, address_filter, frames, rule


def _filter(records: list[HelloRecord]) -> str:
    ends = records[0].event.ends
    return f"tcp.port=={ends.dport} && {address_filter(ends.src)}"


class _HelloCheck(DeviceRule):
    """A rule that picks Hellos and says one sentence of them all."""

    def picks(self, record: HelloRecord) -> bool:
        """Whether the rule is about this Hello."""
        raise NotImplementedError

    def sentence(self, records: list[HelloRecord]) -> str:
        """Say what is the matter with these Hellos."""
        raise NotImplementedError

    def look(self, case: DeviceEvidence) -> Iterator[Finding | Unknown]:
        """One finding for all Hellos of the device that the rule picks."""
        records = [record for record in case.hellos if self.picks(record)]
        if records:
            evidence = [frame for record in records for frame in record.event.evidence]
            yield self.finding(
                case,
                self.sentence(records),
                evidence,
                _filter(records),
                times=[record.event.ts for record in records],
                count=len(records),
            )


def _is_cut_by_capture(record: HelloRecord) -> bool:
    return any(
        "not in the capture" in text or "cut by the capture" in text for text in record.event.hello.problems
    )


@rule
class HelloDamaged(_HelloCheck):
    """The Hello stops before its list does, and the sender closed it like that."""

    needs = "damaged-hello"
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

    def picks(self, record: HelloRecord) -> bool:
        """Documented version, incomplete, and not for want of capture."""
        hello = record.event.hello
        return hello.type != "unknown" and not hello.complete and not _is_cut_by_capture(record)

    def sentence(self, records: list[HelloRecord]) -> str:
        """Name the first problem."""
        first = records[0].event
        return f"The Hello in {frames(first.evidence)} is not whole: {first.hello.problems[-1]}."


@rule
class CaptureLoss(_HelloCheck):
    """Bytes of a Hello were sent, but are not in the capture."""

    needs = "damaged-hello"
    id = "capture-loss"
    precedence = 810
    title = "The capture lost bytes of a Hello"
    category = "capture"
    severity = "info"
    remedy = "Capture with full packet length (snap length 262144) and a larger buffer, close to the device."
    source = "TCP sequence numbers; captured against original packet length"
    example = (("hello", 0, {"cut_by": "capture"}),)
    near_miss = (("hello", 0, {"cut_by": "sender"}),)

    def picks(self, record: HelloRecord) -> bool:
        """Incomplete because of the capture."""
        return not record.event.hello.complete and _is_cut_by_capture(record)

    def sentence(self, records: list[HelloRecord]) -> str:
        """Name the first problem."""
        first = records[0].event
        problem = next((text for text in first.hello.problems if "capture" in text), "bytes are missing")
        return f"The Hello in {frames(first.evidence)} cannot be read to its end: {problem}."


@rule
class HelloSplit(_HelloCheck):
    """The Hello came in several segments."""

    needs = "split-hello"
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

    def picks(self, record: HelloRecord) -> bool:
        """A whole PKI Hello in more than one segment."""
        return record.event.segments > 1 and record.event.hello.complete

    def sentence(self, records: list[HelloRecord]) -> str:
        """Name the segments."""
        first = records[0].event
        return f"The Hello came in {first.segments} TCP segments ({frames(first.evidence)}); it is whole."


@rule
class PidCheckFailed(_HelloCheck):
    """The PID's check character does not fit."""

    needs = "wrong-pid"
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

    def picks(self, record: HelloRecord) -> bool:
        """PSK with a wrong PID."""
        return record.event.hello.pid_check_ok is False

    def sentence(self, records: list[HelloRecord]) -> str:
        """Show the PID."""
        return f"The PID {records[0].event.hello.pid} does not fit its check character."


@rule
class AdminCredentialsUnset(_HelloCheck):
    """The device says that its administrator password is still the factory's."""

    needs = "no-admin-password"
    id = "admin-credentials-unset"
    precedence = 710
    title = "The administrator password is still the default"
    category = "security"
    severity = "warning"
    remedy = "Set the MEBx password before the machine leaves staging; the default is known to everybody."
    source = "Intel's AMT guide, Hello message: administrator credentials flag"
    example = (("hello", 0, {"admin_credentials": 0}),)
    near_miss = (("hello", 0, {"admin_credentials": None}),)

    def picks(self, record: HelloRecord) -> bool:
        """Flag 0."""
        return record.event.hello.admin_credentials == 0

    def sentence(self, records: list[HelloRecord]) -> str:
        """Name the frame."""
        return (
            "The Hello says that no administrator credentials are set "
            f"({frames(records[0].event.evidence)}): MEBx still takes its default password."
        )


@rule
class JunkUuid(_HelloCheck):
    """The UUID is one that many boards share."""

    needs = "junk-uuid"
    id = "junk-uuid"
    precedence = 610
    title = "The UUID identifies nobody"
    label = "shared UUID"
    severity = "warning"
    remedy = "Have the vendor's tool write a proper UUID into the SMBIOS: servers key their records by it."
    source = "SMBIOS specification; UUIDs seen on many boards"
    example = (("hello", 0, {"uuid": "03000200-0400-0500-0006-000700080009"}),)
    near_miss = (("hello", 0, {"uuid": "03000200-0400-0500-0006-000700080008"}),)

    def picks(self, record: HelloRecord) -> bool:
        """A placeholder UUID."""
        uuid = record.event.hello.uuid
        return uuid is not None and is_junk_uuid(uuid)

    def sentence(self, records: list[HelloRecord]) -> str:
        """Show the UUID."""
        return f"The Hello carries the UUID {records[0].event.hello.uuid}, which many boards share."


@rule
class UndocumentedVersion(_HelloCheck):
    """A Hello of a version that no document describes."""

    needs = "odd-version"
    id = "undocumented-version"
    precedence = 720
    title = "A Hello of an undocumented version"
    severity = "info"
    confidence = "low"
    remedy = "Keep the capture: only the header of such a message can be read."
    source = "Intel's AMT guide documents versions 2 and 3 only"
    example = (("hello", 0, {"version": 4}),)
    near_miss = (("hello", 0, {"version": None}),)

    def picks(self, record: HelloRecord) -> bool:
        """Neither 2 nor 3."""
        return record.event.hello.version is not None and record.event.hello.type == "unknown"

    def sentence(self, records: list[HelloRecord]) -> str:
        """Show the version."""
        return f"The Hello has version {records[0].event.hello.version}; only its header was read."
