"""HTML for notebooks: text of any origin stays text, and what there is has no colours, scripts or links.

Without colours of its own it is as readable on a dark theme as on a light one.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from amtdiag.safetext import plain

_LEFT = 'style="text-align:left"'


def text(words: str, most: int = 400) -> str:
    """Text of any origin, with its reading direction kept to itself."""
    return f"<bdi>{escape(plain(words, most))}</bdi>"


def code(words: str, most: int = 400) -> str:
    """As `text`, for what is to be copied."""
    return f"<code>{escape(plain(words, most))}</code>"


def bold(words: str) -> str:
    """A paragraph that stands out."""
    return f"<p><b>{text(words)}</b></p>"


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table of cells that are HTML already."""
    head = "".join(f"<th {_LEFT}>{one}</th>" for one in heads)
    body = "".join(f"<tr>{''.join(f'<td {_LEFT}>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def facts(pairs: Iterable[tuple[str, str | None]]) -> str:
    """A table of names and values, which are HTML already; what has no value is left out."""
    rows = "".join(
        f"<tr><th {_LEFT}>{name}</th><td {_LEFT}>{value}</td></tr>" for name, value in pairs if value
    )
    return f"<table><tbody>{rows}</tbody></table>"


def folded(summary: str, content: str) -> str:
    """What is shown on a click."""
    return f"<details><summary>{summary}</summary>{content}</details>"


def page(*parts: str) -> str:
    """All of it."""
    return f"<div>{''.join(parts)}</div>"
