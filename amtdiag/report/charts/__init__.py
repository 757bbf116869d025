"""Charts of a diagnosis: what happened when, and what is wrong, for one device and for a fleet.

Every function draws on the `ax` it is given and returns it; None makes a figure in pyplot, which Jupyter
shows by itself. matplotlib is imported when the first chart is drawn. Text of a capture is drawn as it is,
never read as mathematics or TeX, and is cut to a length that leaves the chart readable.
"""

from amtdiag.report.charts.device import device_failures, device_timeline
from amtdiag.report.charts.files import write_charts
from amtdiag.report.charts.fleet import MOST_ROWS, fleet_failures, fleet_modes, fleet_timeline
from amtdiag.report.charts.style import DPI, WIDTH

__all__ = [
    "DPI",
    "MOST_ROWS",
    "WIDTH",
    "device_failures",
    "device_timeline",
    "fleet_failures",
    "fleet_modes",
    "fleet_timeline",
    "write_charts",
]
