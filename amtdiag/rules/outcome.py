"""How each device fares: state, cause and doubt, decided here and nowhere else.

cause: what stops a device is the first finding about it, in the order of the likeliest, that is about
provisioning, an error or critical, and was not overcome.
doubt: the first that is about provisioning, a warning, and was not overcome: it is not proven to stop it.
state: "stuck" with a cause, else "trouble" with a doubt, else "unclear" where something about the device
cannot be told, or the capture itself has a fault there, else "clear".
"""

from __future__ import annotations

from collections.abc import Iterable

from amtdiag.model import DeviceRecord, Finding, State, Unknown


def with_outcomes(
    devices: Iterable[DeviceRecord], findings: Iterable[Finding], unknowns: Iterable[Unknown]
) -> tuple[DeviceRecord, ...]:
    """Return the devices with their state, cause and doubt; `findings` are in the order of the likeliest."""
    causes: dict[str, Finding] = {}
    doubts: dict[str, Finding] = {}
    unclear = {unknown.device for unknown in unknowns}
    for finding in findings:
        if finding.device is None or finding.overcome:
            continue
        if finding.category == "capture":
            unclear.add(finding.device)
        elif finding.category == "provisioning" and finding.severity in ("error", "critical"):
            causes.setdefault(finding.device, finding)
        elif finding.category == "provisioning" and finding.severity == "warning":
            doubts.setdefault(finding.device, finding)
    return tuple([
        _with_outcome(device, causes.get(device.id), doubts.get(device.id), is_unclear=device.id in unclear)
        for device in devices
    ])  # fmt: skip


def _with_outcome(
    device: DeviceRecord, cause: Finding | None, doubt: Finding | None, *, is_unclear: bool
) -> DeviceRecord:
    state: State = "stuck" if cause else "trouble" if doubt else "unclear" if is_unclear else "clear"
    if (state, cause, doubt) == (device.state, device.cause, device.doubt):
        return device  # as it was made: most of a large fleet are clear
    return device._replace(state=state, cause=cause, doubt=doubt)
