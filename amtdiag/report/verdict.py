"""The answer in one sentence, the same on every surface."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from amtdiag.model import DeviceRecord, Diagnosis, Finding, State
from amtdiag.protocols.ports import DEVICE_PORTS
from amtdiag.report.wording import count_devices
from amtdiag.rules.catalogue import RULES

_TITLES = {rule.id: rule.title for rule in RULES}
_LABELS = {rule.id: rule.label for rule in RULES}


def title_of(rule: str) -> str:
    """Return the title of a rule."""
    return _TITLES.get(rule, rule.replace("-", " "))


def label_of(rule: str) -> str:
    """Return the cause in a word or two, to stand beside the stage."""
    return _LABELS.get(rule) or title_of(rule)


def trouble(device: DeviceRecord) -> Finding | None:
    """Return what to say first of a device: what stops it, else what is not proven to; None for neither."""
    return device.cause or device.doubt


def troubled_first(devices: Iterable[DeviceRecord]) -> list[DeviceRecord]:
    """Return the stuck devices, then those in other trouble, each in the order of their first packets."""
    return sorted(
        devices,
        key=lambda device: (device.state != "stuck", device.state != "trouble", device.first_seen),
    )


def verdict(diagnosis: Diagnosis) -> str:
    """Say how many devices are stuck, and what to look at first; before that, where no Hello was seen."""
    devices = sum(device.is_amt for device in diagnosis.devices)
    if not devices:
        return "No AMT device was seen: no Hello, and no attempt to send one." + _otherwise(diagnosis)
    lead = "" if diagnosis.hellos else "No Hello in this capture. "
    return _emergency(diagnosis) + lead + _situation(diagnosis, devices)


def _emergency(diagnosis: Diagnosis) -> str:
    """Name a security emergency before all else."""
    first = next((finding for finding in diagnosis.findings if finding.severity == "critical"), None)
    return "" if first is None else f"Security first: {_in_a_sentence(title_of(first.rule))}. "


def _situation(diagnosis: Diagnosis, devices: int) -> str:
    states = Counter(device.state for device in diagnosis.devices)
    stuck, doubtful = states["stuck"], states["trouble"]
    first = _most_common(diagnosis)
    if stuck:
        are = "is" if stuck == 1 else "are"
        more = f", {doubtful:,} more {'has' if doubtful == 1 else 'have'} trouble" if doubtful else ""
        return f"{stuck:,} of {count_devices(devices)} {are} stuck{more}. First to fix: {first}."
    if doubtful:
        return f"{count_devices(devices)} seen, none proven to be stuck. First to look at: {first}."
    return f"{count_devices(devices)} seen; {_outlook(states)}.{_threat(diagnosis)}"


def _threat(diagnosis: Diagnosis) -> str:
    """Name the first security warning, where nothing else is to be said."""
    first = next(
        (
            finding
            for finding in diagnosis.findings
            if finding.category == "security"
            and finding.severity in ("warning", "error")
            and not finding.overcome
        ),
        None,
    )
    return "" if first is None else f" For security: {_in_a_sentence(title_of(first.rule))}."


def _otherwise(diagnosis: Diagnosis) -> str:
    """Name what may be behind it: leases with a fault, attempts at AMT ports."""
    machines = len(diagnosis.devices)
    if machines:
        who = "1 machine has" if machines == 1 else f"{machines:,} machines have"
        fault = _most_common(diagnosis)
        return f" But {who} a fault in the lease that would silence a device: {fault}."
    tried = {event.ends.dst for event in diagnosis.connections if event.ends.dport in DEVICE_PORTS}
    if not tried:
        return ""
    where = next(iter(tried)) if len(tried) == 1 else f"{len(tried)} addresses"
    return f" Somebody tries the AMT ports of {where}, in vain."


def _outlook(states: Counter[State]) -> str:
    """Say that nothing stops the devices, as far as that can be told."""
    devices, unclear = states.total(), states["unclear"]
    if not unclear:
        return f"nothing in this capture stops {'it' if devices == 1 else 'them'}"
    number = "" if devices == 1 else f" for {count_devices(unclear)}"
    return f"whether anything stops {'them' if number else 'it'} cannot be told from this capture{number}"


def _most_common(diagnosis: Diagnosis) -> str:
    """Name what stops most devices or, where nothing stops any, what troubles most, with their number."""
    devices = diagnosis.devices
    causes = {device.cause.id for device in devices if device.cause is not None}
    shown = causes or {device.doubt.id for device in devices if device.doubt is not None}
    # Of two that as many have, the likelier comes first, as the findings do.
    rules = Counter(finding.rule for finding in diagnosis.findings if finding.id in shown)
    return "".join(
        f"{_in_a_sentence(title_of(rule))} ({count_devices(count)})" for rule, count in rules.most_common(1)
    )


def _in_a_sentence(title: str) -> str:
    """Begin a title small, but for DHCP, DNS and the like."""
    return title if title[1:2].isupper() else f"{title[:1].lower()}{title[1:]}"
