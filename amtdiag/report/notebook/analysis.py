"""How an analysis looks in a notebook."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from amtdiag.model import SEVERITIES, Diagnosis, Finding
from amtdiag.report.device_names import device_names
from amtdiag.report.notebook.markup import bold, page, table, text
from amtdiag.report.verdict import title_of, trouble, troubled_first, verdict
from amtdiag.times import clock

_MOST_ROWS = 30
_MOST_CAUSES = 20


def analysis_html(found: Diagnosis) -> str:
    """Show verdict, devices, what to do, and what cannot be known."""
    parts = [
        bold(verdict(found)),
        *_captures_html(found),
        *_devices_html(found),
        *_causes_html(found),
    ]
    unknowns = Counter((one.what, one.why, one.would_decide) for one in found.unknowns)
    if unknowns:
        rows = (_unknown_html(*one, count) for one, count in unknowns.most_common(_MOST_CAUSES))
        parts.append(f"{bold('Cannot be known from this capture')}<ul>{''.join(rows)}</ul>")
    said = [*found.problems, *found.notes][:_MOST_CAUSES]
    parts += [f"<p>{text(note)}</p>" for note in said]
    if found.devices:
        parts.append("<p>One device: <code>.device('part of its name')</code></p>")
    return page(*parts)


def _captures_html(found: Diagnosis) -> Iterable[str]:
    if not found.captures:
        return
    files, packets = len(found.captures), sum(one.packets for one in found.captures)
    first = min((one.first_ts for one in found.captures if one.first_ts is not None), default=None)
    last = max((one.last_ts for one in found.captures if one.last_ts is not None), default=None)
    when = "" if first is None or last is None else f", {clock(first)} to {clock(last)} UTC"
    yield f"<p>{files:,} file{'s' * (files != 1)}, {packets:,} packets{when}</p>"


def _devices_html(found: Diagnosis) -> Iterable[str]:
    if not found.devices:
        return
    names, listed = device_names(found.devices), troubled_first(found.devices)
    yield table(
        ("Device", "Address", "Hellos", "Mode", "Stopped at", "Because"),
        (
            (
                text(names[device.id], 80),
                text(device.ips[-1] if device.ips else "", 80),
                f"{device.hellos:,}",
                text(device.mode.name),
                text(device.stage.replace("_", "-")) if device.state == "stuck" else "",
                text(title_of(first.rule)) if (first := trouble(device)) is not None else "",
            )
            for device in listed[:_MOST_ROWS]
        ),
    )
    if len(listed) > _MOST_ROWS:
        yield f"<p>and {len(listed) - _MOST_ROWS:,} more devices: see <code>.devices</code></p>"


def _causes_html(found: Diagnosis) -> Iterable[str]:
    """Each rule once: how many devices, one example, the remedy."""
    groups: dict[str, list[Finding]] = {}
    for finding in found.findings:
        groups.setdefault(finding.rule, []).append(finding)
    if not groups:
        return
    rows = []
    for rule, group in list(groups.items())[:_MOST_CAUSES]:
        first, count = group[0], len({one.device for one in group if one.device})
        severity = max((one.severity for one in group), key=SEVERITIES.index)
        row = f" ({first.catalogue})" if first.catalogue else ""
        rows.append(
            (
                text(severity),
                text(title_of(rule) + row),
                f"{count:,}",
                text(first.summary),
                text(first.remedy),
            )
        )
    yield table(("Severity", "Finding", "Devices", "For example", "What to do"), rows)
    if len(groups) > _MOST_CAUSES:
        yield f"<p>and {len(groups) - _MOST_CAUSES:,} more rules: see <code>.findings</code></p>"


def _unknown_html(what: str, why: str, would_decide: str, count: int) -> str:
    many = f" ({count:,} devices)" if count > 1 else ""
    return f"<li>{text(what)}{many}: {text(why)}. It would take {text(would_decide)}.</li>"
