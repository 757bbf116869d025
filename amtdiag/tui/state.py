"""What there is to show, as the capture tells it; whoever draws looks at it when it has time.

Each attribute is set as a whole by the thread that captures, and only read by the one that draws.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from amtdiag.live.diff import Update
from amtdiag.live.loop import Counters
from amtdiag.live.rules import TITLES
from amtdiag.model import SEVERITIES, Diagnosis, HelloEvent, Severity
from amtdiag.report.device_names import device_names
from amtdiag.report.verdict import title_of, verdict
from amtdiag.times import SECOND
from amtdiag.tui.rows import DeviceRow, rows_of

_MAX_ALERTS = 500


class AlertLine(NamedTuple):
    """A line of the panel of alerts."""

    ts: int
    """When it was raised or withdrawn, in ns since 1970 UTC."""
    severity: Severity | None
    """None for what concerns the capture."""
    text: str
    """In a sentence or two."""
    finding: str = ""
    """Its id."""
    device: str | None = None
    """Its id; None where it is about no device."""
    withdrawn: str = ""
    """Why it is none any more."""


class Shown(NamedTuple):
    """A diagnosis, made ready to be drawn."""

    now: int
    """When it was made, in ns since 1970 UTC."""
    diagnosis: Diagnosis
    """As the report has it."""
    with_alarms: Diagnosis
    """The same with the alerts of a live run among its findings."""
    verdict: str
    """In a sentence."""
    rows: Sequence[DeviceRow]


class State:
    """A `Sink` that keeps what there is to draw."""

    counts_every = SECOND // 2

    def __init__(self, names: str) -> None:
        """`names` are the interfaces."""
        self.names = names
        self.shown: Shown | None = None
        self.alerts: tuple[AlertLine, ...] = ()
        """Newest first; of remarks only those that no device's findings show."""
        self.counters: Counters | None = None
        self.rate = 0.0
        """Packets a second."""
        self.hellos = 0
        self._alerts: deque[AlertLine] = deque(maxlen=_MAX_ALERTS)
        self._prepared: Shown | None = None
        self._before: tuple[float, int] = (time.monotonic(), 0)

    def hello(self, event: HelloEvent) -> None:  # noqa: ARG002 - the table shows whose it was
        """Count a Hello."""
        self.hellos += 1

    def prepare(self, news: Update) -> None:
        """Make a diagnosis ready to be drawn."""
        found = news.diagnosis
        with_alarms = found._replace(findings=(*found.findings, *news.alarms))
        self._prepared = Shown(news.now, found, with_alarms, verdict(found), rows_of(found, news.alarms))

    def judged(self, news: Update) -> None:
        """Show what was prepared, and what was raised and withdrawn."""
        self.shown = self._prepared
        for withdrawal in news.withdrawn:
            self._withdraw(withdrawal.finding.id, withdrawal.reason, news.now)
        if news.raised:
            names = device_names(news.diagnosis.devices)
            shown = [alert for alert in news.raised if alert.severity != "info" or alert.rule in TITLES]
            shown.sort(
                key=lambda alert: SEVERITIES.index(alert.severity)
            )  # the gravest comes to stand on top
            for alert in shown[-_MAX_ALERTS:]:
                who = f"{names.get(alert.device, alert.device)}: " if alert.device else ""
                title = TITLES.get(alert.rule) or title_of(alert.rule)
                text = f"{who}{title}. {alert.summary}"
                self._alerts.appendleft(AlertLine(news.now, alert.severity, text, alert.id, alert.device))
        if news.raised or news.withdrawn:
            self.alerts = tuple(self._alerts)

    def counted(self, counters: Counters) -> None:
        """Note where the capture stands."""
        now, (then, packets) = time.monotonic(), self._before
        if now - then >= 1:
            self.rate = (counters.packets - packets) / (now - then)
            self._before = (now, counters.packets)
        self.counters = counters

    def noted(self, now: int, text: str) -> None:
        """Note a remark about the capture."""
        self._alerts.appendleft(AlertLine(now, None, text))
        self.alerts = tuple(self._alerts)

    def _withdraw(self, finding: str, reason: str, now: int) -> None:
        for place, alert in enumerate(self._alerts):
            if alert.finding == finding and not alert.withdrawn:
                del self._alerts[place]
                self._alerts.appendleft(alert._replace(ts=now, withdrawn=reason))
                return
