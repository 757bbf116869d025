"""Lists of which only the lines in view are drawn, however long they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from amtdiag.report.wording import SEVERITY_STYLES
from amtdiag.safetext import plain
from amtdiag.times import clock
from amtdiag.tui.rows import DeviceRow, age
from amtdiag.tui.state import AlertLine

_COLUMNS = (
    # Heading, width, and how wide the terminal is at least for it to be there.
    ("Device", 14, 0),
    ("Address", 15, 0),
    ("Hello", 7, 0),
    ("Mode", 5, 60),
    ("Stage", 12, 0),
    ("Last", 4, 70),
    ("Event", 24, 110),
    ("Verdict", 0, 0),
)
_MODES = {"operational": "oper.", "factory": "fact.", "unknown": "-"}
_LONG_ADDRESS = 39
_WIDE = 150


class Lines(ScrollView):
    """A list of lines. Subclasses say how many there are, and what one looks like."""

    def __init__(self, *, id: str) -> None:  # noqa: A002 - textual's name for it
        super().__init__(id=id)
        self.can_focus = True

    def count(self) -> int:
        """Return how many lines there are."""
        raise NotImplementedError

    def line(self, number: int, width: int) -> Text:
        """Return one line."""
        raise NotImplementedError

    def changed(self) -> None:
        """Draw what is in view once more."""
        self.virtual_size = Size(self.scrollable_content_region.width, self.count())
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """Draw one line of the view (textual calls this)."""
        width = self.scrollable_content_region.width
        number = self.scroll_offset.y + y
        if not 0 <= number < self.count() or width <= 0:
            return Strip.blank(max(width, 0), self.rich_style)
        text = self.line(number, width)
        text.truncate(width, overflow="ellipsis")
        strip = Strip(text.render(self.app.console, end="")).adjust_cell_length(width, self.rich_style)
        return strip.apply_style(self.rich_style)

    def on_resize(self) -> None:
        """Draw as wide as there is room."""
        self.changed()


class DeviceTable(Lines):
    """The devices; one of them is chosen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("home", "move(-1000000)", show=False),
        Binding("end", "move(1000000)", show=False),
    ]

    class Chosen(Message):
        """Another device was chosen."""

    def __init__(self) -> None:
        super().__init__(id="devices")
        self._rows: Sequence[DeviceRow] = ()
        self._now = 0
        self._at = 0

    @property
    def chosen(self) -> DeviceRow | None:
        """The device that is chosen."""
        return self._rows[self._at] if self._rows else None

    def show(self, rows: Sequence[DeviceRow], now: int) -> None:
        """Show these; the choice stays with its device, wherever that stands now."""
        before, self._now = self.chosen, now
        if rows is not self._rows:
            self._rows = rows
            place = next((at for at, row in enumerate(rows) if before and row.id == before.id), None)
            self._at = min(self._at, max(len(rows) - 1, 0)) if place is None else place
            if place is not None and before is not None:
                self._keep_in_view()
        self.changed()

    def count(self) -> int:
        """Return how many lines there are; the heading is one."""
        return len(self._rows) + 1

    def render_line(self, y: int) -> Strip:
        """Draw one line of the view; the heading stays."""
        if y > 0:
            return super().render_line(y)
        width = self.scrollable_content_region.width
        text = Text(_cells([heading for heading, *_ in _COLUMNS], width), style="bold")
        return Strip(text.render(self.app.console, end="")).adjust_cell_length(width, self.rich_style)

    def line(self, number: int, width: int) -> Text:
        """Return a device as a line."""
        row = self._rows[number - 1]
        cells = [
            row.name, row.address, row.hello, _MODES.get(row.mode, row.mode), row.stage,
            age(self._now - row.last_ts), row.event, row.verdict,
        ]  # fmt: skip
        before = _cells([*cells[:-1], ""], width).rstrip()
        at = cell_len(_cells([*cells[:-1], "|"], width)) - 1
        style = (
            SEVERITY_STYLES[row.severity] if row.severity else "green" if row.mode == "operational" else ""
        )
        text = Text(set_cell_size(before, at))
        text.append(plain(row.verdict), style=style)
        if number - 1 == self._at:
            text.pad_right(max(width - text.cell_len, 0))
            text.stylize("reverse" if self.has_focus else "underline")
        return text

    def action_move(self, by: int) -> None:
        """Choose another one."""
        self._go(self._at + by)

    def action_page(self, way: int) -> None:
        """Choose the one a page away."""
        self._go(self._at + way * max(self.size.height - 2, 1))

    def _go(self, at: int) -> None:
        at = min(max(at, 0), max(len(self._rows) - 1, 0))
        if at != self._at:
            self._at = at
            self._keep_in_view()
            self.refresh()
            self.post_message(self.Chosen())

    def _keep_in_view(self) -> None:
        top, height = round(self.scroll_offset.y), max(self.size.height - 1, 1)
        if not top <= self._at < top + height:
            self.virtual_size = Size(self.scrollable_content_region.width, self.count())
            self.scroll_to(y=self._at if self._at < top else self._at - height + 1, animate=False)


class AlertList(Lines):
    """The alerts, newest first."""

    def __init__(self) -> None:
        super().__init__(id="alerts")
        self._alerts: Sequence[AlertLine] = ()

    def show(self, alerts: Sequence[AlertLine]) -> None:
        """Show these."""
        if alerts is not self._alerts:
            self._alerts = alerts
            self.changed()

    def count(self) -> int:
        """Return how many alerts there are."""
        return len(self._alerts)

    def line(self, number: int, width: int) -> Text:  # noqa: ARG002 - it is cut to fit
        """Return an alert as a line."""
        alert = self._alerts[number]
        text = Text(f"{clock(alert.ts)[11:]} ", style="dim")
        if alert.withdrawn:
            text.append(f"withdrawn ({plain(alert.withdrawn)}) ", style="not dim green")
            text.append(plain(alert.text), style="dim")
        else:
            word = alert.severity or "capture"
            text.append(f"{word} ", style=f"not dim {SEVERITY_STYLES.get(word, 'bold')}")
            text.append(plain(alert.text), style="not dim")
        return text


def _cells(cells: Sequence[str], width: int) -> str:
    """Return a line of the table as wide as there is room; the last column takes what is left."""
    parts = []
    for (heading, size, needs), cell in zip(_COLUMNS, cells, strict=True):
        if width < needs:
            continue
        if not size:
            parts.append(plain(cell))
            continue
        wide = _LONG_ADDRESS if heading == "Address" and width >= _WIDE else size
        parts.append(set_cell_size(_shortened(plain(cell), wide), wide))
    return " ".join(parts)


def _shortened(text: str, most: int) -> str:
    """Return text whose middle gives way: of names and addresses, both ends tell them apart."""
    if cell_len(text) <= most or cell_len(text) != len(text):
        return text
    head = most // 2
    return f"{text[:head]}…{text[len(text) - (most - head - 1) :]}"
