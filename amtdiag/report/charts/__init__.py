"""Charts of a diagnosis: what happened when, and what is wrong, for one device and for a fleet.

Every function draws on the `ax` it is given and returns it; None makes a figure in pyplot, which Jupyter
shows by itself. Charts with a time axis take a `tz`: `UTC`, `local`, or a name such as `Europe/Berlin`.
matplotlib is imported when the first chart is drawn. Text of a capture is drawn as it is, never read as
mathematics or TeX, and is cut to a length that leaves the chart readable. Colours are told apart with any
colour vision, and none says a thing alone.
"""

from amtdiag.report.charts.device import device_failures, device_timeline
from amtdiag.report.charts.files import FORMATS, Format, write_charts
from amtdiag.report.charts.fleet import MAX_ROWS, fleet_failures, fleet_modes, fleet_timeline
from amtdiag.report.charts.funnel import fleet_funnel
from amtdiag.report.charts.gaps import MAX_LINES, device_retry_gaps, fleet_retry_gaps
from amtdiag.report.charts.overtime import fleet_failures_over_time
from amtdiag.report.charts.roots import MAX_ROOTS, fleet_roots
from amtdiag.report.charts.stagemap import MAX_MAPPED, fleet_stages
from amtdiag.report.charts.style import DPI, WIDTH

__all__ = [
    "DPI",
    "FORMATS",
    "MAX_LINES",
    "MAX_MAPPED",
    "MAX_ROOTS",
    "MAX_ROWS",
    "WIDTH",
    "Format",
    "device_failures",
    "device_retry_gaps",
    "device_timeline",
    "fleet_failures",
    "fleet_failures_over_time",
    "fleet_funnel",
    "fleet_modes",
    "fleet_retry_gaps",
    "fleet_roots",
    "fleet_stages",
    "fleet_timeline",
    "write_charts",
]
