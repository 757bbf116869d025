"""How an analysis, a finding and a Hello look in a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from amtdiag.model import Diagnosis, Evidence, Finding, Hello, HelloRecord
from amtdiag.report.causes import device_count, gravest, grouped, same_rule
from amtdiag.report.device_names import device_names
from amtdiag.report.overview import capture_span, count_unknowns
from amtdiag.report.story import device_filter
from amtdiag.report.templates import template
from amtdiag.report.verdict import title_of, trouble, troubled_first, verdict
from amtdiag.rules.base import frames

MAX_FINDINGS = 12
"""Of a device."""
_MAX_ROWS = 30
"""Devices, and Hellos of a device."""
_MAX_CAUSES = 20
"""Rules, unknowns and notes of an analysis."""
_MAX_FRAMES = 8
"""Frames and candidates of a finding."""
_MAX_DIGESTS = 64
_TYPES = {"psk": "PSK (pre-shared key)", "pki": "PKI (remote configuration)", "unknown": "not known"}
_FLAGS = {0: "not set", 1: "set"}


def hello_html(hello: Hello) -> str:
    """A Hello as it was sent."""
    return html_of("hello", hello)


def record_html(record: HelloRecord) -> str:
    """A Hello of a capture: whose it is, where it went, and what each digest is worth."""
    return html_of("hello_record", record)


def finding_html(finding: Finding) -> str:
    """A finding with what to do about it, under the name of its rule."""
    return html_of("finding", finding, headline(finding, finding.rule.replace("-", " ").capitalize()))


def analysis_html(found: Diagnosis) -> str:
    """The verdict, the devices, what to do, and what cannot be known."""
    return html_of(
        "analysis",
        found,
        verdict(found),
        capture_span(found),
        troubled_first(found.devices),
        device_names(found.devices),
        grouped(found.findings, same_rule),
        count_unknowns(found).most_common(),
    )


def headline(finding: Finding, title: str) -> str:
    """What is the matter, and how grave it is."""
    row = f" ({finding.catalogue})" if finding.catalogue else ""
    return f"{title}{row}: {finding.severity}{', overcome later' if finding.overcome else ''}"


def frames_of(evidence: Sequence[Evidence]) -> str:
    """The frames of the first file, and which file that is."""
    if not evidence:
        return ""
    numbers = [str(frame.frame) for frame in evidence if frame.file == evidence[0].file]
    more = " ..." if len(numbers) > _MAX_FRAMES else ""
    return f"frame{'s' * (len(numbers) > 1)} {' '.join(numbers[:_MAX_FRAMES])}{more} of {evidence[0].file}"


def html_of(macro: str, *values: object) -> str:
    """Return what a macro of the template makes of some values, without line breaks."""
    html: str = getattr(_macros(), macro)(*values)
    return "".join(html.splitlines())


@lru_cache
def _macros() -> Any:
    words = {
        "types": _TYPES, "flags": _FLAGS, "max_findings": MAX_FINDINGS, "max_rows": _MAX_ROWS,
        "max_causes": _MAX_CAUSES, "max_frames": _MAX_FRAMES, "max_digests": _MAX_DIGESTS,
    }  # fmt: skip
    functions = (
        device_count, device_filter, frames_of, gravest, headline, frames, title_of, trouble,
    )  # fmt: skip
    named = {function.__name__: function for function in functions}
    return template("amtdiag.report.notebook", "notebook.html.j2").make_module({**words, **named})
