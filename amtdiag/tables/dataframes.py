"""The tables: one function each, one row a fact."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, get_args

from amtdiag.model import (
    SEVERITIES,
    STATES,
    Basis,
    Category,
    Confidence,
    Diagnosis,
    Evidence,
    Hello,
    HelloRecord,
    HelloType,
    Mode,
    Stage,
)
from amtdiag.tables.columns import ends, first_frame, flags, floats, ints, texts, times, words
from amtdiag.tables.event import EventKind, EventOutcome, all_events
from amtdiag.times import SECOND
from amtdiag.trust.verdicts import VERDICTS

if TYPE_CHECKING:
    import pandas as pd

MODES: tuple[Mode, ...] = ("unknown", "factory", "setup", "operational")
"""In the order in which a device goes through them."""


def hellos(diagnosis: Diagnosis) -> pd.DataFrame:
    """One row a Hello, in time order.

    ts; device; type (psk, pki, unknown); version; retry_count; gap_s: seconds since the device's previous
    Hello; uuid; pid; pid_check_ok; admin_credentials_set; digests: whole ones; declared_digests;
    unknown_digests: those that no catalogue names; complete; missing_bytes; trailing_bytes; segments: TCP
    segments with bytes of it; src, sport, dst, dport; src_mac; vlan: tags from the outermost on;
    community_id; problems; file and frame of its first byte.
    """
    import pandas as pd

    records = diagnosis.hellos
    events = [record.event for record in records]
    messages = [event.hello for event in events]
    return pd.DataFrame(
        {
            "ts": times(event.ts for event in events),
            "device": texts(record.device for record in records),
            "type": words((one.type for one in messages), get_args(HelloType)),
            "version": ints(one.version for one in messages),
            "retry_count": ints(one.retry_count for one in messages),
            "gap_s": floats(_gaps(records)),
            "uuid": texts(one.uuid for one in messages),
            "pid": texts(one.pid for one in messages),
            "pid_check_ok": flags(one.pid_check_ok for one in messages),
            "admin_credentials_set": flags(_admin_set(one) for one in messages),
            "digests": ints(len(one.digests) for one in messages),
            "declared_digests": ints(one.declared_digests for one in messages),
            "unknown_digests": ints(sum("unknown" in d.verdicts for d in one.digests) for one in records),
            "complete": flags(one.complete for one in messages),
            "missing_bytes": ints(one.missing_bytes for one in messages),
            "trailing_bytes": ints(one.trailing_bytes for one in messages),
            "segments": ints(event.segments for event in events),
            **ends([event.ends for event in events]),
            "src_mac": texts(event.ends.src_mac for event in events),
            "vlan": texts(" ".join(map(str, event.ends.vlan)) or None for event in events),
            "community_id": texts(event.ends.community_id for event in events),
            "problems": texts("; ".join(one.problems) or None for one in messages),
            **first_frame([event.evidence for event in events]),
        }
    )


def _admin_set(message: Hello) -> bool | None:
    """Neither yes nor no where the flag was cut off, or is a number that has no meaning."""
    value = message.admin_credentials
    return bool(value) if value in (0, 1) else None


def _gaps(records: Iterable[HelloRecord]) -> Iterator[float | None]:
    last: dict[str, int] = {}
    for record in records:
        before = last.get(record.device)
        yield None if before is None else (record.event.ts - before) / SECOND
        last[record.device] = record.event.ts


def digests(diagnosis: Diagnosis) -> pd.DataFrame:
    """One row a digest of a Hello, in the order of the Hellos and of their lists.

    ts and device of the Hello; hello: its row in `hellos`; index: place in the list, from 0; algorithm;
    algorithm_id: as sent; digest: hexadecimal; name: of the root; verdict: the gravest that holds (ordered,
    gravest first); verdicts: all that hold; file and frame of the Hello.
    """
    import pandas as pd

    rows = [
        (number, record, judged)
        for number, record in enumerate(diagnosis.hellos)
        for judged in record.digests
    ]
    return pd.DataFrame(
        {
            "ts": times(record.event.ts for _, record, _ in rows),
            "device": texts(record.device for _, record, _ in rows),
            "hello": ints(number for number, _, _ in rows),
            "index": ints(judged.digest.index for *_, judged in rows),
            "algorithm": texts(judged.digest.algorithm for *_, judged in rows),
            "algorithm_id": ints(judged.digest.algorithm_id for *_, judged in rows),
            "digest": texts(judged.digest.value.hex() for *_, judged in rows),
            "name": texts(judged.name for *_, judged in rows),
            "verdict": words((judged.verdict for *_, judged in rows), tuple(VERDICTS), ordered=True),
            "verdicts": texts(" ".join(judged.verdicts) for *_, judged in rows),
            **first_frame([record.event.evidence for _, record, _ in rows]),
        }
    )


def devices(diagnosis: Diagnosis) -> pd.DataFrame:
    """One row a device, in the order in which they were first seen.

    device: its id; uuid; macs, ips: all of them, with spaces between; hello_type; hellos: their number;
    last_retry: retry count of the last Hello; gap_median_s, gap_max_s: seconds between Hellos; first_seen,
    last_seen; mode (ordered) and mode_basis; stage: the last one attempted (ordered), and stage_passed,
    unknown while it is open; state (ordered): clear, unclear, trouble or stuck; cause: rule of the first
    finding that stops it, <NA> where nothing does; doubt: rule of the first that is not proven to stop it;
    worst: gravest severity of its findings; findings: their number; server: where its last Hello went;
    suffix; firmware: what its digest list is consistent with; sees_device_to_server, sees_server_to_device:
    whether the capture shows that direction.
    """
    from statistics import median  # which a text report, that needs `all_events` alone, does without

    import pandas as pd

    listed = diagnosis.devices
    count = Counter(finding.device for finding in diagnosis.findings)
    rising = sorted(diagnosis.findings, key=lambda finding: SEVERITIES.index(finding.severity))
    worst = {finding.device: finding.severity for finding in rising}
    gaps = [[gap / SECOND for gap in one.gaps] for one in listed]
    return pd.DataFrame(
        {
            "device": texts(one.id for one in listed),
            "uuid": texts(one.uuid for one in listed),
            "macs": texts(" ".join(one.macs) or None for one in listed),
            "ips": texts(" ".join(one.ips) or None for one in listed),
            "hello_type": words((one.hello_type for one in listed), get_args(HelloType)),
            "hellos": ints(one.hellos for one in listed),
            "last_retry": ints(one.retry_counts[-1] if one.retry_counts else None for one in listed),
            "gap_median_s": floats(median(some) if some else None for some in gaps),
            "gap_max_s": floats(max(some, default=None) for some in gaps),
            "first_seen": times(one.first_seen for one in listed),
            "last_seen": times(one.last_seen for one in listed),
            "mode": words((one.mode.name for one in listed), MODES, ordered=True),
            "mode_basis": words((one.mode.basis for one in listed), get_args(Basis)),
            "stage": words((one.stage for one in listed), get_args(Stage), ordered=True),
            "stage_passed": flags(one.stages[-1].passed if one.stages else None for one in listed),
            "state": words((one.state for one in listed), STATES[::-1], ordered=True),
            "cause": texts(one.cause and one.cause.rule for one in listed),
            "doubt": texts(one.doubt and one.doubt.rule for one in listed),
            "worst": words((worst.get(one.id) for one in listed), SEVERITIES, ordered=True),
            "findings": ints(count[one.id] for one in listed),
            "server": texts(one.server for one in listed),
            "suffix": texts(one.suffix for one in listed),
            "firmware": texts(one.firmware for one in listed),
            **{
                f"sees_{lane}": flags(one.visibility.get(lane) for one in listed)
                for lane in ("device_to_server", "server_to_device")
            },
        }
    )


def findings(diagnosis: Diagnosis) -> pd.DataFrame:
    """One row a finding, likeliest cause first.

    id; rule; catalogue: row of the failure catalogue; category; severity (ordered); device, <NA> for one
    about the capture; basis; confidence (ordered); count: how often it was seen; first_ts, last_ts;
    summary; remedy; candidates: possible causes, each with what would decide; display_filter: for
    Wireshark; file and frame of the first evidence; frames: all evidence in that file.
    """
    import pandas as pd

    listed = diagnosis.findings
    return pd.DataFrame(
        {
            "id": texts(one.id for one in listed),
            "rule": texts(one.rule for one in listed),
            "catalogue": texts(one.catalogue for one in listed),
            "category": words((one.category for one in listed), get_args(Category)),
            "severity": words((one.severity for one in listed), SEVERITIES, ordered=True),
            "device": texts(one.device for one in listed),
            "basis": words((one.basis for one in listed), get_args(Basis)),
            "confidence": words((one.confidence for one in listed), get_args(Confidence)[::-1], ordered=True),
            "count": ints(one.count for one in listed),
            "first_ts": times(one.first_ts for one in listed),
            "last_ts": times(one.last_ts for one in listed),
            "summary": texts(one.summary for one in listed),
            "remedy": texts(one.remedy for one in listed),
            "candidates": texts(
                "; ".join(f"{c.cause} ({c.would_decide})" for c in one.candidates) or None for one in listed
            ),
            "display_filter": texts(one.display_filter or None for one in listed),
            **first_frame([one.evidence for one in listed]),
            "frames": texts(_frames(one.evidence) for one in listed),
        }
    )


def _frames(evidence: Sequence[Evidence]) -> str | None:
    return " ".join(str(one.frame) for one in evidence if one.file == evidence[0].file) or None


def events(diagnosis: Diagnosis) -> pd.DataFrame:
    """One row a Hello, connection, DHCP message, DNS question or RMCP pong, in the order in which they began.

    ts; event: hello, connection (device to a Hello port), connect_back (its server to an AMT port of it),
    console (another host to an AMT port of it), scanner, presence (device to a management presence server),
    dhcp, dns (question for the provisioning server), rmcp (answer to a ping) or other; device; src, sport,
    dst, dport: from whom to whom; outcome: whole or cut for a Hello; established, refused, unanswered, reset
    or partial for a connection; else asked, answered, failed or unanswered; duration_s: from first to last
    packet of a connection, else 0; detail; file and frame of its first packet.
    """
    import pandas as pd

    listed = all_events(diagnosis)
    return pd.DataFrame(
        {
            "ts": times(one.ts for one in listed),
            "event": words((one.kind for one in listed), get_args(EventKind)),
            "device": texts(one.device for one in listed),
            **ends([one.ends for one in listed]),
            "outcome": words((one.outcome for one in listed), get_args(EventOutcome)),
            "duration_s": floats((one.last_ts - one.ts) / SECOND for one in listed),
            "detail": texts(one.detail for one in listed),
            **first_frame([one.evidence for one in listed]),
        }
    )


def captures(diagnosis: Diagnosis) -> pd.DataFrame:
    """One row a capture file.

    file; format; bytes; packets; linktypes; first_ts, last_ts; duration_s: seconds between them; snaplen:
    bytes kept of a packet; drops: packets that the capturing side lost; truncated; notes.
    """
    import pandas as pd

    listed = diagnosis.captures
    return pd.DataFrame(
        {
            "file": texts(one.file for one in listed),
            "format": texts(one.format for one in listed),
            "bytes": ints(one.bytes for one in listed),
            "packets": ints(one.packets for one in listed),
            "linktypes": texts(" ".join(one.linktypes) or None for one in listed),
            "first_ts": times(one.first_ts for one in listed),
            "last_ts": times(one.last_ts for one in listed),
            "duration_s": floats(
                None if one.first_ts is None or one.last_ts is None else (one.last_ts - one.first_ts) / SECOND
                for one in listed
            ),
            "snaplen": ints(one.snaplen for one in listed),
            "drops": ints(one.drops for one in listed),
            "truncated": flags(one.truncated for one in listed),
            "notes": texts("; ".join(one.notes) or None for one in listed),
        }
    )
