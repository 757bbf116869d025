"""Charts as files."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from amtdiag.model import DeviceRecord, Diagnosis
from amtdiag.report.charts import device, fleet, funnel, gaps, overtime, roots, stagemap
from amtdiag.report.charts.style import DPI, WIDTH
from amtdiag.report.charts.view import ChartData
from amtdiag.report.timezones import Wanted
from amtdiag.safetext import plain
from amtdiag.tables import csv_safe

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from amtdiag.report.charts.style import Place

Format = Literal["png", "svg"]
FORMATS: tuple[Format, ...] = get_args(Format)

_FLEET: dict[str, Callable[[ChartData, Place], Axes]] = {
    "timeline": fleet.fleet_timeline,
    "failures": fleet.fleet_failures,
    "failures-over-time": overtime.fleet_failures_over_time,
    "funnel": funnel.fleet_funnel,
    "stages": stagemap.fleet_stages,
    "modes": fleet.fleet_modes,
    "retry-gaps": gaps.fleet_retry_gaps,
    "roots": roots.fleet_roots,
}
_DEVICE = {"timeline": device.device_timeline, "failures": device.device_failures}


def write_charts(
    diagnosis: Diagnosis,
    folder: str | PathLike[str],
    most: int = 20,
    formats: Sequence[Format] = FORMATS,
    tz: Wanted = "UTC",
) -> list[Path]:
    """Write files of all charts into `folder`, in each of the `formats`, and return their paths.

    The fleet has eight charts, each device two; only the first `most` devices have theirs drawn, the
    troubled ones first. File names are numbers, never text of a capture: index.csv lists all devices and
    says which have which. Times of day are those of the zone `tz`. The SVGs are the same in every run.
    Raises OSError, and `UsageError` where there is no such zone.
    """
    import matplotlib as mpl

    view = ChartData(diagnosis, tz)
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    listed = view.troubled_first()
    paths = []
    with mpl.rc_context():
        mpl.rcdefaults()  # a report looks the same whatever the user's own settings
        mpl.rcParams["svg.hashsalt"] = "amtdiag"
        for name, draw in _FLEET.items():
            paths += _save(partial(draw, view), target / f"fleet-{name}", formats)
        for number, record in enumerate(listed[:most], 1):
            for name, draw_one in _DEVICE.items():
                stem = target / f"device-{number:03d}-{name}"
                paths += _save(partial(draw_one, view, record.id), stem, formats)
    index = target / "index.csv"
    _write_index(listed, most if formats else 0, index, "png" if "png" in formats else "svg")
    return [*paths, index]


def _save(draw: Callable[[Place], Axes], stem: Path, formats: Sequence[Format]) -> list[Path]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import TightLayoutEngine

    # It measures all text once, constrained layout twice.
    figure = Figure(layout=TightLayoutEngine(pad=0.8), dpi=DPI)

    def place(height: float) -> Axes:
        figure.set_size_inches(WIDTH, height)
        return figure.add_subplot()

    paths = [stem.with_suffix(f".{kind}") for kind in FORMATS if kind in formats]
    if not paths:
        return []
    draw(place)
    # Not savefig, which draws everything once more than it needs to: these files are most of the time that a
    # report takes. Drawing the first lays the chart out, for both.
    pixels: Any = FigureCanvasAgg(figure)
    if "png" in formats:
        # Level 1 takes 60 % of the time of the usual 6; its files are 5 % larger.
        pixels.print_png(paths[0], metadata={"Software": "amtdiag"}, pil_kwargs={"compress_level": 1})
    else:
        figure.draw_without_rendering()
    if "svg" in formats:
        figure.set_layout_engine("none")
        vectors: Any = FigureCanvasSVG(figure)
        vectors.print_svg(paths[-1], metadata={"Date": None, "Creator": "amtdiag"})
    return paths


def _write_index(listed: Sequence[DeviceRecord], most: int, path: Path, shown: Format) -> None:
    """Say which device each number is; devices without charts have none."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("number", "device", "address", "stuck", "cause", *_DEVICE))
        for number, record in enumerate(listed, 1):
            cause = record.cause.rule if record.cause else ""
            texts = (record.id, record.ips[-1] if record.ips else "", cause)
            identity, address, cause = (csv_safe(plain(text)) for text in texts)
            stuck = "yes" if record.state == "stuck" else "no"
            charts = [f"device-{number:03d}-{name}.{shown}" if number <= most else "" for name in _DEVICE]
            writer.writerow((number if number <= most else "", identity, address, stuck, cause, *charts))
