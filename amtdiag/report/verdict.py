"""The answer in one sentence, the same on every surface."""

from __future__ import annotations

from collections import Counter

from amtdiag.model import Diagnosis, Finding, Severity
from amtdiag.protocols.ports import DEVICE_PORTS
from amtdiag.rules.catalogue import RULES

_TITLES = {rule.id: rule.title for rule in RULES}
_LABELS = {rule.id: rule.label for rule in RULES}


def title_of(rule: str) -> str:
    """Return the title of a rule."""
    return _TITLES.get(rule, rule.replace("-", " "))


def label_of(rule: str) -> str:
    """Return the cause in a word or two, to stand beside the stage."""
    return _LABELS.get(rule) or title_of(rule)


def stuck_devices(diagnosis: Diagnosis) -> frozenset[str]:
    """Return the devices that something stops: those with a provisioning error."""
    return frozenset(
        one.device
        for one in diagnosis.findings
        if one.device and one.category == "provisioning" and one.severity in ("error", "critical")
    )


def first_causes(diagnosis: Diagnosis) -> dict[str, Finding]:
    """Return by device the first finding that may stop it."""
    causes: dict[str, Finding] = {}
    for finding in diagnosis.findings:
        stops = finding.category == "provisioning" and finding.severity != "info" and not finding.overcome
        if finding.device is not None and stops:
            causes.setdefault(finding.device, finding)
    return causes


def _troubled(diagnosis: Diagnosis) -> frozenset[str]:
    """Return the devices with a provisioning trouble that is not proven to stop them."""
    return frozenset(
        one.device
        for one in diagnosis.findings
        if one.device and one.category == "provisioning" and one.severity == "warning" and not one.overcome
    )


def verdict(diagnosis: Diagnosis) -> str:
    """Say how many devices are stuck, and what to look at first; before that, where no Hello was seen."""
    devices = [one for one in diagnosis.devices if one.is_amt]
    if not devices:
        nobody = "No AMT device was seen: no Hello, and no attempt to send one."
        return nobody + _otherwise(diagnosis)
    lead = "" if diagnosis.hellos else "No Hello in this capture. "
    return _emergency(diagnosis) + lead + _situation(diagnosis, len(devices))


def _emergency(diagnosis: Diagnosis) -> str:
    """Name a security emergency before all else."""
    first = next((one for one in diagnosis.findings if one.severity == "critical"), None)
    return "" if first is None else f"Security first: {_in_a_sentence(title_of(first.rule))}. "


def _situation(diagnosis: Diagnosis, devices: int) -> str:
    stuck = stuck_devices(diagnosis)
    if stuck:
        are = "is" if len(stuck) == 1 else "are"
        first = _first_cause(diagnosis, ("error", "critical"))
        doubtful = len(_troubled(diagnosis) - stuck)
        more = f", {doubtful:,} more {'has' if doubtful == 1 else 'have'} trouble" if doubtful else ""
        return f"{len(stuck):,} of {_devices(devices)} {are} stuck{more}. First to fix: {first}."
    troubled = _first_cause(diagnosis, ("warning",))
    if troubled:
        return f"{_devices(devices)} seen, none proven to be stuck. First to look at: {troubled}."
    return f"{_devices(devices)} seen; {_outlook(diagnosis)}.{_threat(diagnosis)}"


def _threat(diagnosis: Diagnosis) -> str:
    """Name the first security warning, where nothing else is to be said."""
    first = next(
        (
            one
            for one in diagnosis.findings
            if one.category == "security" and one.severity in ("warning", "error") and not one.overcome
        ),
        None,
    )
    return "" if first is None else f" For security: {_in_a_sentence(title_of(first.rule))}."


def _otherwise(diagnosis: Diagnosis) -> str:
    """Name what may be behind it: leases with a fault, attempts at AMT ports."""
    machines = len(diagnosis.devices)
    if machines:
        who = "1 machine has" if machines == 1 else f"{machines:,} machines have"
        fault = _first_cause(diagnosis, ("warning",))
        return f" But {who} a fault in the lease that would silence a device: {fault}."
    tried = {one.ends.dst for one in diagnosis.connections if one.ends.dport in DEVICE_PORTS}
    if not tried:
        return ""
    where = next(iter(tried)) if len(tried) == 1 else f"{len(tried)} addresses"
    return f" Somebody tries the AMT ports of {where}, in vain."


def _outlook(diagnosis: Diagnosis) -> str:
    """Say that nothing stops the devices, as far as that can be told."""
    open_ = {one.device for one in diagnosis.unknowns if one.device}
    open_ |= {one.device for one in diagnosis.findings if one.device and one.category == "capture"}
    if not open_:
        return f"nothing in this capture stops {'it' if len(diagnosis.devices) == 1 else 'them'}"
    whom = "" if len(diagnosis.devices) == 1 else f" for {_devices(len(open_))}"
    return f"whether anything stops {'it' if not whom else 'them'} cannot be told from this capture{whom}"


def _first_cause(diagnosis: Diagnosis, severities: tuple[Severity, ...]) -> str | None:
    """Name the provisioning trouble that most devices have, with their number."""
    causes = Counter(
        one.rule
        for one in diagnosis.findings
        if one.device and one.category == "provisioning" and one.severity in severities and not one.overcome
    )
    if not causes:
        return None
    rule, count = causes.most_common(1)[0]
    return f"{_in_a_sentence(title_of(rule))} ({_devices(count)})"


def _in_a_sentence(title: str) -> str:
    """Begin a title small, but for DHCP, DNS and the like."""
    return title if title[1:2].isupper() else f"{title[:1].lower()}{title[1:]}"


def _devices(count: int) -> str:
    return "1 device" if count == 1 else f"{count:,} devices"
