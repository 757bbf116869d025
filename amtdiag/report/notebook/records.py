"""How a Hello and a finding look in a notebook."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from amtdiag.model import Digest, Evidence, Finding, Hello, HelloRecord
from amtdiag.report.notebook.markup import bold, code, facts, folded, page, table, text
from amtdiag.times import clock

_TYPES = {"psk": "PSK (pre-shared key)", "pki": "PKI (remote configuration)", "unknown": "not known"}
_FLAGS = {0: "not set", 1: "set"}
_MOST_FRAMES = 8
_MOST_DIGESTS = 64


def hello_html(hello: Hello) -> str:
    """A Hello as it was sent."""
    return page(bold(_headline(hello)), facts(_facts(hello)), _digests(hello.digests))


def record_html(record: HelloRecord) -> str:
    """A Hello of a capture: whose it is, where it went, and what each digest is worth."""
    event, hello = record.event, record.event.hello
    judged = [
        (
            str(one.digest.index),
            text(one.digest.algorithm),
            text(one.name or ""),
            text(", ".join(one.verdicts)),
            code(one.digest.value.hex(), 130),
        )
        for one in record.digests[:_MOST_DIGESTS]
    ]
    parts = [
        bold(_headline(hello)),
        facts(
            (
                ("Device", text(record.device)),
                ("Sent", f"{clock(event.ts)} UTC"),
                ("From", text(_end(event.ends.src, event.ends.sport))),
                ("To", text(_end(event.ends.dst, event.ends.dport))),
                ("Seen in", text(frames_of(event.evidence))),
                *_facts(hello),
            )
        ),
    ]
    if judged:
        heads = ("", "Algorithm", "Root", "Verdict", "Digest")
        parts.append(folded(_how_many(len(record.digests)), table(heads, judged)))
    return page(*parts)


def finding_html(finding: Finding, title: str = "") -> str:
    """A finding with what to do about it; its rule stands for the `title` unless one is given."""
    return page(bold(headline(finding, title)), facts(finding_facts(finding)))


def headline(finding: Finding, title: str = "") -> str:
    """What is the matter, and how grave it is."""
    named = title or finding.rule.replace("-", " ").capitalize()
    row = f" ({finding.catalogue})" if finding.catalogue else ""
    return f"{named}{row}: {finding.severity}{', overcome later' if finding.overcome else ''}"


def finding_facts(finding: Finding) -> Iterable[tuple[str, str | None]]:
    """Yield what is known of a finding, as names and HTML."""
    yield "What", text(finding.summary, 1000)
    yield "To do", text(finding.remedy, 1000)
    yield "How sure", text(f"{finding.basis}, confidence {finding.confidence}")
    if finding.first_ts is not None:
        yield "First seen", f"{clock(finding.first_ts)} UTC, {finding.count:,} times in all"
    for one in finding.candidates[:_MOST_FRAMES]:
        yield "It may be", text(f"{one.cause} (what would decide: {one.would_decide})", 600)
    yield "Seen in", text(frames_of(finding.evidence)) if finding.evidence else None
    yield "Wireshark filter", code(finding.display_filter, 1000) if finding.display_filter else None
    yield "Rule", code(finding.rule)


def frames_of(evidence: Sequence[Evidence]) -> str:
    """The frames of the first file, and which file that is."""
    if not evidence:
        return ""
    numbers = [str(one.frame) for one in evidence if one.file == evidence[0].file]
    more = " ..." if len(numbers) > _MOST_FRAMES else ""
    return f"frame{'s' * (len(numbers) > 1)} {' '.join(numbers[:_MOST_FRAMES])}{more} of {evidence[0].file}"


def _headline(hello: Hello) -> str:
    retry = "retry count not read" if hello.retry_count is None else f"retry {hello.retry_count}"
    whole = "" if hello.complete else ", not whole"
    return f"Hello of {hello.uuid or 'an unknown UUID'}, {retry}{whole}"


def _facts(hello: Hello) -> Iterable[tuple[str, str | None]]:
    yield "Type", text(_TYPES[hello.type])
    if hello.pid is not None:
        check = {True: "", False: " (its check characters are wrong)", None: ""}[hello.pid_check_ok]
        yield "PID", text(hello.pid + check)
    if hello.admin_credentials is not None:
        flag = _FLAGS.get(hello.admin_credentials, str(hello.admin_credentials))
        yield "Admin credentials", text(flag)
    if hello.declared_digests is not None:
        yield "Digests", f"{len(hello.digests)} of {hello.declared_digests} that it declares"
    if hello.missing_bytes:
        yield "Missing", f"{hello.missing_bytes:,} bytes"
    if hello.trailing_bytes:
        yield "Trailing", f"{hello.trailing_bytes:,} bytes"
    yield "Problems", text("; ".join(hello.problems), 1000) if hello.problems else None


def _digests(digests: Sequence[Digest]) -> str:
    if not digests:
        return ""
    rows = (
        (str(one.index), text(one.algorithm), code(one.value.hex(), 130)) for one in digests[:_MOST_DIGESTS]
    )
    return folded(_how_many(len(digests)), table(("", "Algorithm", "Digest"), rows))


def _how_many(digests: int) -> str:
    more = f", the first {_MOST_DIGESTS} of them" if digests > _MOST_DIGESTS else ""
    return f"{digests:,} digest{'s' * (digests > 1)} of root certificates{more}"


def _end(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
