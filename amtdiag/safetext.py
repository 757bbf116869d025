"""The one function that makes text from the wire, or from a file name, safe to show.

A PID, a name in DNS or a path can hold escape sequences that repaint a terminal, characters that reverse
the reading direction, or line breaks that forge a log line. Every such text passes here once, where it
enters the model; surfaces then only add their own quoting (JSON, CSV, HTML, matplotlib).
"""

from __future__ import annotations

import unicodedata

_PRINTABLE_ASCII = frozenset(range(0x20, 0x7F)) - {0x5C}
_UNSAFE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Control, format (bidi and zero-width), surrogate, private, unassigned, line and paragraph separators."""


def safe(text: str | bytes, limit: int = 256) -> str:
    r"""Return `text` with everything that could act on a surface written as ``\xNN`` or ``\uNNNN``.

    Bytes are read as ASCII, each other byte becoming ``\xNN``. A backslash is doubled, so that the result
    is unambiguous. Longer text than `limit` characters is cut and ends in an ellipsis.
    """
    if isinstance(text, bytes):
        out = [chr(b) if b in _PRINTABLE_ASCII else ("\\\\" if b == 0x5C else f"\\x{b:02x}") for b in text]
    elif text.isascii() and text.isprintable() and "\\" not in text:
        return text if len(text) <= limit else text[:limit] + "…"
    else:
        out = [_shown(character) for character in text[: limit + 1]]
    return "".join(out[:limit]) + ("…" if len(out) > limit else "")


def plain(text: str, most: int | None = None) -> str:
    r"""Return text that cannot act on what shows it, cut to `most` characters.

    Text of a capture has passed `safe` on its way into the model, so that nothing changes here; what
    slipped through all the same (ESC, bidi, surrogates) is written as ``\xNN``. Unlike `safe` this can be
    repeated: it leaves a backslash alone.
    """
    if most is not None and len(text) > most:
        text = text[: max(most - 1, 0)] + "…"
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else safe(character) for character in text)


def _shown(character: str) -> str:
    if character == "\\":
        return "\\\\"
    if unicodedata.category(character) not in _UNSAFE_CATEGORIES:
        return character
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # surrogateescape: a byte of a file name that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
