"""Text of a capture, safe to show whatever shows it."""

from __future__ import annotations

from amtdiag.safetext import safe


def plain(text: str, most: int | None = None) -> str:
    r"""Return text that cannot act on what shows it, cut to `most` characters.

    Text of a capture has passed `safetext.safe` on its way into the model, so that nothing changes here; what
    slipped through all the same (ESC, bidi, surrogates) is written as ``\xNN``. Unlike `safe` this can be
    repeated: it leaves a backslash alone.
    """
    if most is not None and len(text) > most:
        text = text[: max(most - 1, 0)] + "…"
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else safe(one) for one in text)
