"""The view: devices, the chosen one in full, alerts, and where the capture stands.

It looks at the `State` twice a second and draws what has changed; it never asks the capture for anything.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Protocol

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Footer, Input, Static

from amtdiag.errors import AmtdiagError
from amtdiag.safetext import plain
from amtdiag.times import SECOND, clock, span
from amtdiag.tui.detail import detail_of
from amtdiag.tui.rows import filtered
from amtdiag.tui.state import Shown, State
from amtdiag.tui.widgets import AlertList, DeviceTable

_LOOK_EVERY = 0.5
"""Seconds."""
_REPORTS = Path("reports")
_PARTS = ("devices", "alerts", "about")
_HELP = """\
/        show only devices that have these words somewhere: an
         address, a UUID or MAC, a mode, stage, verdict, rule.
         Enter keeps the filter, Esc takes it away
p        hold the view still; packets are taken all the same
s        write the report as of now to a folder
Tab      go to the next part: devices, alerts, device
Up Down  choose a device, or move the text
z        give the part you are in the whole screen, and back
q        end with the report, as Ctrl-C; the packets are kept
?        this help; Esc leaves it

A device's verdict is the first thing that may stop it. An alert
is withdrawn when its finding comes to nothing."""


class StopFlag(Protocol):
    """Whether the run is to end; a signal may ask for it, too."""

    asked: bool


class Help(ModalScreen[None]):
    """What the keys do."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,question_mark,enter", "dismiss", "Back")]

    def compose(self) -> ComposeResult:
        """Show the text."""
        with VerticalScroll(id="help"):
            yield Static(Text(_HELP))


class LiveApp(App[None]):
    """The whole screen."""

    ENABLE_COMMAND_PALETTE = False
    TITLE = "amtdiag live"
    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012 - textual declares it so
        (0, "-narrow"),
        (140, "-wide"),
    ]
    CSS = """
    #verdict { height: auto; max-height: 2; text-style: bold; }
    #status { height: 1; text-wrap: nowrap; text-overflow: ellipsis; }
    #filter { height: 1; border: none; }
    #devices, #about, #alerts { border-top: solid ansi_bright_black; scrollbar-size-vertical: 1; }
    #about { padding: 0 1; }
    #devices:focus, #about:focus, #alerts:focus { border-top: heavy ansi_blue; }
    #left { height: 1fr; }
    #devices { height: 1fr; min-height: 4; }
    #about { height: 1fr; min-height: 3; }
    #alerts { height: 5; }
    .-narrow #body { layout: vertical; }
    .-narrow #left { height: 5fr; }
    .-narrow #about { height: 3fr; }
    .-narrow #alerts { height: 4; }
    .-wide #body { layout: horizontal; }
    .-wide #left { width: 3fr; height: 1fr; }
    .-wide #about { width: 2fr; height: 1fr; }
    .-wide #alerts { height: 14; }
    #left.-alone #alerts { height: 1fr; }
    Help { align: center middle; }
    #help { width: 68; height: auto; max-height: 90%; border: round ansi_blue; padding: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        # Before the part with the focus gets to know of it: what is typed next belongs to the filter already.
        Binding("slash", "filter", "Filter", key_display="/", priority=True),
        Binding("p", "pause", "Pause"),
        Binding("s", "save", "Save report"),
        Binding("z", "zoom", "Zoom"),
        Binding("question_mark", "help", "Help", key_display="?"),
        Binding("q", "stop", "End"),
        Binding("ctrl+c,ctrl+q", "stop", show=False, priority=True),
        Binding("escape", "escape", show=False),
    ]

    def __init__(
        self, state: State, stop: StopFlag, folder: str | None, is_over: Callable[[], bool] = lambda: False
    ) -> None:
        """`folder` takes the report that is saved; `is_over` says that the capture has ended."""
        super().__init__(ansi_color=True)
        self._state = state
        self._stop = stop
        self._folder = folder
        self._is_over = is_over
        self._shown: Shown | None = None
        self._wanted = ""
        self._rows_of: tuple[Shown | None, str] = (None, "")
        self._device_of: tuple[Shown | None, str] = (None, "")
        self._paused_at: int | None = None
        self._zoomed = False
        self._message = ""
        self._titles: dict[str | None, str] = {}
        self._is_saving = False
        self._verdict, self._status, self._device = Static(id="verdict"), Static(id="status"), Static()
        self._table, self._alerts = DeviceTable(), AlertList()
        self._about = VerticalScroll(id="about", can_focus=True)
        self._line = Input(placeholder="words that a device has to have", id="filter", compact=True)
        self._line.display = False
        self.theme = "ansi-dark"  # the terminal's own colours, be it dark or light

    def compose(self) -> ComposeResult:
        """Lay out the parts."""
        yield self._verdict
        with Horizontal(id="body"):
            with Vertical(id="left"):
                yield self._table
                yield self._alerts
            with self._about:
                yield self._device
        yield self._line
        yield self._status
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Begin to look."""
        self._about.border_title = "Device"
        self._table.focus()
        self.look()
        self.set_interval(_LOOK_EVERY, self.look)

    # ----------------------------------------------------------------------------------------- what is drawn

    def look(self) -> None:
        """Draw what there is now; end where the capture has ended."""
        if not self._table.is_attached:  # the screen is being left
            return
        if self._is_over():
            self.exit()
            return
        if self._paused_at is None:
            self._shown = self._state.shown
            self._alerts.show(self._state.alerts)
        self._draw_rows()
        self._draw_device()
        self._draw_titles()
        self._status.update(self._standing())

    def _draw_rows(self) -> None:
        shown = self._shown
        if shown is None:
            return
        now = self._paused_at or time.time_ns()
        key = (shown, self._wanted)
        if self._rows_of[0] is not shown or self._rows_of[1] != self._wanted:
            self._rows_of = key
            self._rows = filtered(shown.rows, self._wanted)
        self._table.show(self._rows, now)

    def _draw_device(self) -> None:
        chosen = self._table.chosen
        name = chosen.id if chosen is not None else ""
        if self._shown is None or (self._device_of[0] is self._shown and self._device_of[1] == name):
            return
        moved = self._device_of[1] != name
        self._device_of = (self._shown, name)
        text = detail_of(self._shown.with_alarms, name) if name else Text("No device yet.", style="dim")
        self._device.update(text)
        if moved:
            self._about.scroll_home(animate=False)

    def _draw_titles(self) -> None:
        shown = self._shown
        verdict = "Nothing has been judged yet." if shown is None else shown.verdict
        self._verdict.update(Text(plain(verdict)))
        total = len(shown.rows) if shown is not None else 0
        here = self._table.count() - 1
        of = f"{here:,} of {total:,}" if self._wanted else f"{total:,}"
        wanted = f" with '{plain(self._wanted, 40)}'" if self._wanted else ""
        self._title(self._table, f"Devices ({of}{wanted})")
        self._title(self._alerts, f"Alerts ({self._alerts.count()})")

    def _title(self, part: DeviceTable | AlertList, title: str) -> None:
        """Set a title, not again where it is the same: that would draw the whole part."""
        if self._titles.get(part.id) != title:
            self._titles[part.id] = title
            part.border_title = Text(title)

    def _standing(self) -> Text:
        """Where the capture stands."""
        counters, state = self._state.counters, self._state
        text = Text(no_wrap=True, overflow="ellipsis")
        if self._stop.asked:
            text.append("ENDING: the report is made ", style="bold reverse")
        elif self._paused_at is not None:
            text.append("PAUSED ", style="bold reverse")
        if self._message:
            text.append(f" {plain(self._message)} ", style="bold")
        parts = [plain(state.names)]
        if counters is not None:
            kernel = sum(count.dropped for count in counters.counts)
            interface = sum(count.interface_dropped for count in counters.counts)
            parts += [
                f"{state.rate:,.0f}/s",
                f"{sum(count.received for count in counters.counts):,} received",
                f"{kernel + interface:,} lost" if not kernel + interface or self.size.width < 100 else
                f"lost: {kernel:,} by the kernel, {interface:,} by the interface",
                span((counters.now - counters.since) // SECOND * SECOND),
                f"{clock(counters.now)[11:]} UTC",
            ]  # fmt: skip
            if counters.file:
                parts.append(f"> {plain(counters.file)}")
        text.append(" · ".join(parts))
        if counters is not None and any(
            count.dropped or count.interface_dropped for count in counters.counts
        ):
            text.stylize("yellow")
        return text

    # -------------------------------------------------------------------------------------------------- keys

    def on_device_table_chosen(self) -> None:
        """Another device is chosen."""
        self._draw_device()

    def action_filter(self) -> None:
        """Ask for words."""
        if isinstance(self.screen, Help):
            return
        if self.focused is self._line:
            self._line.insert_text_at_cursor("/")
        self._line.display = True
        self.screen.set_focus(self._line)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter while it is typed."""
        self._wanted = event.value
        self._draw_rows()
        self._draw_titles()
        self._draw_device()

    def on_input_submitted(self) -> None:
        """Go back to the devices."""
        self._close_filter()

    def _close_filter(self) -> None:
        self._line.display = False
        self._table.focus()

    def action_escape(self) -> None:
        """Take the filter away, or leave the zoom."""
        if self._zoomed:
            self.action_zoom()
            return
        self._line.value = ""
        self._close_filter()

    def action_pause(self) -> None:
        """Hold the view still, or let it go on."""
        self._paused_at = time.time_ns() if self._paused_at is None else None
        self.look()

    def action_zoom(self) -> None:
        """Give the part with the focus all of the screen."""
        focus = self.focused.id if self.focused is not None else None
        if not self._zoomed and focus not in _PARTS:
            return
        self._zoomed = not self._zoomed
        for part in _PARTS:
            self.query_one(f"#{part}").display = not self._zoomed or part == focus
        left = self.query_one("#left")
        left.display = not self._zoomed or focus != "about"
        left.set_class(self._zoomed, "-alone")

    def action_help(self) -> None:
        """Show what the keys do."""
        self.push_screen(Help())

    def action_stop(self) -> None:
        """End the capture; asked a second time, leave the screen at once."""
        if self._stop.asked:
            self.exit()
        self._stop.asked = True
        self._status.update(self._standing())

    def action_save(self) -> None:
        """Write the report as it stands, in a thread."""
        shown = self._shown
        if shown is None or self._is_saving:
            self._message = "" if shown is not None else "nothing to save yet"
            return
        self._is_saving = True
        folder = (
            Path(self._folder) if self._folder else _REPORTS / f"live-{clock(shown.now).translate(_IN_NAMES)}"
        )
        self._message = f"writing {folder} ..."
        self.look()
        self.run_worker(lambda: self._save(shown, folder), thread=True)

    def _save(self, shown: Shown, folder: Path) -> None:
        from amtdiag.report.report_directory import write_report

        try:
            write_report(shown.diagnosis, folder)
            self._message = f"report as of {clock(shown.now)[11:]} in {folder}"
        except (AmtdiagError, OSError) as error:
            self._message = str(error)
        self._is_saving = False


_IN_NAMES = str.maketrans({" ": "T", ":": None, "-": None})
