"""The report as one page: a file of its own that opens anywhere, without a network.

`page` renders it, `outline` holds what is said at the top, `model` what the script shows on demand.
"""

from amtdiag.report.formats.html.page import render_page

__all__ = ["render_page"]
