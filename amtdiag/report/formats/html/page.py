"""Renders the page: one file with its style, its script and its data, that needs nothing else."""

from __future__ import annotations

import json
import zlib
from base64 import b64encode
from collections.abc import Iterator
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files
from typing import Any

from amtdiag.model import Diagnosis
from amtdiag.report.formats.html.model import page_data
from amtdiag.report.formats.html.summary import Outline
from amtdiag.report.templates import template

_SCRIPTS = ("model.js", "times.js", "dom.js", "overview.js", "devices.js", "timescale.js", "timeline.js",
            "device.js", "main.js")  # fmt: skip
"""In the order in which they stand in the page; together they are one script."""
_LARGE = 1_000_000
"""Bytes of a model beyond which it is packed: a fleet's shrinks to a quarter, base64 included. A small one
stays readable for whoever looks into the file."""


def render_page(diagnosis: Diagnosis) -> Iterator[str]:
    """Yield the page in pieces.

    jinja2 escapes whatever text stands in it; what the script shows comes as JSON in which <, > and & are
    escaped too. The page may load nothing, and run no other script and style than its own.
    """
    outline = Outline(diagnosis)
    style, script = _asset("style.css"), "".join(map(_asset, _SCRIPTS))
    yield from template("amtdiag.report.formats.html", "assets/page.html.j2").generate(
        policy=_policy(script, style),
        style=style,
        script=script,
        model=_carried(page_data(outline)),
        outline=outline,
        found=diagnosis,
    )


def _policy(script: str, style: str) -> str:
    """What the page may do: show itself. Trusted types forbid to make markup of text."""
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src '{_hashed(script)}'",
            f"style-src '{_hashed(style)}'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )


def _hashed(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"


def _carried(model: dict[str, Any]) -> dict[str, Any]:
    """The model itself, or packed, as browsers can unpack it since 2023."""
    text = json.dumps(model, separators=(",", ":"))
    if len(text) <= _LARGE:
        return model
    return {"deflate": b64encode(zlib.compress(text.encode("ascii"), 6)).decode("ascii")}


@lru_cache
def _asset(name: str) -> str:
    text = (files("amtdiag.report.formats.html") / "assets" / name).read_text(encoding="utf-8")
    assert "</" not in text, "an end tag in it would end the element that holds it"
    return text
