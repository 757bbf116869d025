"""SOAP envelopes as far as their addresses, return values and faults go. Never raises.

Sources: SOAP 1.1 and 1.2, WS-Addressing 2004/08, DSP0226 (WS-Management); namespaces as MeshCommander
(amt-wsman-0.2.0.js) and Open AMT (wsman-messages) send them.

The bytes come from the wire, so: expat alone, which is C; a document type is refused where it begins, and
with it all entities; depth, number of elements and attributes and kept text are bounded, the size is by the
caller. Text is taken only inside the few elements named here: passwords and keys in a body never become a
Python object.
"""

import re
from pyexpat import ExpatError, ParserCreate, errors
from typing import Literal, NamedTuple

from amtdiag.protocols.protocol import Field
from amtdiag.safetext import safe

_ENVELOPES = frozenset(
    {"http://www.w3.org/2003/05/soap-envelope", "http://schemas.xmlsoap.org/soap/envelope/"}
)
_ADDRESSING = frozenset(
    {"http://schemas.xmlsoap.org/ws/2004/08/addressing", "http://www.w3.org/2005/08/addressing"}
)
_MANAGEMENT = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"
_EOI = "http://schemas.intel.com/platform/client/"
_MAX_DEPTH = 32
_MAX_ELEMENTS = 10_000
_MAX_ATTRIBUTES = 64
_MAX_SELECTORS = 16
_MAX_SELECTOR = 64
_MAX_TEXT = 512
_MAX_SHOWN = 200
_NUMBER = re.compile(r"-?[0-9]{1,10}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,79}")

_HEADER = {
    **{(space, name): key for space in _ADDRESSING for name, key in (
        ("Action", "action"), ("MessageID", "id"), ("RelatesTo", "relates"))},
    (_MANAGEMENT, "ResourceURI"): "resource",
}  # fmt: skip
_FAULT = {
    ("Code", "Value"): "fault",
    ("Code", "Subcode", "Value"): "subcode",
    ("Reason", "Text"): "reason",
    ("faultcode",): "fault",
    ("faultstring",): "reason",
}
"""Where below a Fault of SOAP 1.2 or 1.1 its parts stand."""


class Envelope(NamedTuple):
    """What a SOAP message says."""

    protocol: Literal["wsman", "eoi"] | None
    action: str | None
    resource: str | None
    message_id: str | None
    """For pairing only: it does not leave the reader."""
    relates_to: str | None
    selectors: tuple[str, ...]
    service: str | None
    method: str | None
    """Without Response, _INPUT and _OUTPUT."""
    return_value: int | None
    fault: str | None
    subcode: str | None
    reason: str | None


FIELDS = {
    Envelope: (
        Field("protocol", "word", "namespace of the body, or a WS-Addressing Action"),
        Field("action", "word", "wsa:Action (WS-Addressing)"),
        Field("resource", "word", "wsman:ResourceURI (DSP0226)"),
        Field("message_id", "bytes", "wsa:MessageID (WS-Addressing)"),
        Field("relates_to", "bytes", "wsa:RelatesTo (WS-Addressing)"),
        Field("selectors", "word", "wsman:Selector: its Name (DSP0226)"),
        Field("service", "word", "last part of the resource, or namespace of the body"),
        Field("method", "word", "last part of the action, or name of the body"),
        Field("return_value", "number", "ReturnValue, or Status of EOI"),
        Field("fault", "word", "Fault: Code/Value (SOAP 1.2) or faultcode (SOAP 1.1)"),
        Field("subcode", "word", "Fault: Code/Subcode/Value (SOAP 1.2)"),
        Field("reason", "text", "Fault: Reason/Text (SOAP 1.2) or faultstring (SOAP 1.1)"),
    )
}


class _Refused(Exception):
    """A document that is not read on."""


class _EnvelopeReader:
    """expat's handlers: where in the envelope the parser is, and the text that is wanted there."""

    def __init__(self) -> None:
        self.parser = ParserCreate("utf-8", "\n")  # whatever encoding it declares: no codec is looked up
        self.parser.ordered_attributes = True
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self._doctype
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.path: list[tuple[str, str]] = []
        self.elements = 0
        self.wanted: str | None = None
        self.wanted_at = 0
        self.text = ""
        self.found: dict[str, str] = {}
        self.selectors: list[str] = []
        self.body: tuple[str, str] | None = None

    def _doctype(self, *_: object) -> None:
        raise _Refused("XML with a document type is refused")

    def _start(self, name: str, attributes: list[str]) -> None:
        space, _, local = name.rpartition("\n")
        path = self.path
        path.append((space, local))
        self.elements += 1
        if len(path) > _MAX_DEPTH or self.elements > _MAX_ELEMENTS or len(attributes) > 2 * _MAX_ATTRIBUTES:
            raise _Refused("XML nested too deep or too large is refused")
        depth = len(path)
        if depth == 1:
            if space not in _ENVELOPES or local != "Envelope":
                raise _Refused("XML that is no SOAP envelope")
        elif depth >= 3:
            self._inside(depth, space, local, attributes)

    def _inside(self, depth: int, space: str, local: str, attributes: list[str]) -> None:
        path = self.path
        if path[1][0] != path[0][0]:
            return
        part = path[1][1]
        key = None
        if part == "Header":
            if depth == 3:
                key = _HEADER.get((space, local))
            elif depth == 4 and path[2] == (_MANAGEMENT, "SelectorSet") and local == "Selector":
                self._selector(attributes)
        elif part == "Body":
            if depth == 3:
                self.body = self.body or (space, local)
            elif path[2] == (path[0][0], "Fault"):
                key = _FAULT.get(tuple(step for _, step in path[3:]))
            elif depth == 4 and path[2] == self.body and local in ("ReturnValue", "Status"):
                key = local
        if key is not None and key not in self.found and self.wanted is None:
            self.wanted, self.wanted_at, self.text = key, depth, ""
            self.parser.CharacterDataHandler = self._take

    def _selector(self, attributes: list[str]) -> None:
        for name, value in zip(attributes[::2], attributes[1::2], strict=True):
            if name.rpartition("\n")[2] == "Name" and len(self.selectors) < _MAX_SELECTORS:
                self.selectors.append(safe(value, _MAX_SELECTOR))

    def _take(self, text: str) -> None:
        if len(self.text) + len(text) > _MAX_TEXT:
            raise _Refused("XML with an address too long is refused")
        self.text += text

    def _end(self, _: str) -> None:
        if self.wanted is not None and len(self.path) == self.wanted_at:
            self.found[self.wanted] = self.text.strip()
            self.wanted = None
            self.parser.CharacterDataHandler = None
        self.path.pop()


def looks_like_xml(body: bytes, content_type: bytes) -> bool:
    """True where a body is to be read as XML: MeshCommander's requests name no content type."""
    return b"html" not in content_type.lower() and body.lstrip()[:1] == b"<" and not _is_html(body)


def _is_html(body: bytes) -> bool:
    return body.lstrip()[:15].lower().startswith((b"<html", b"<!doctype html"))


def read(body: bytes) -> Envelope | str:
    """Return what an envelope says, or why it was not read."""
    reader = _EnvelopeReader()
    try:
        reader.parser.Parse(body.lstrip(), True)
    except _Refused as refused:
        return str(refused)
    except ExpatError as error:
        undefined = error.code == errors.codes[errors.XML_ERROR_UNDEFINED_ENTITY]
        return (
            "XML with entities is refused"
            if undefined
            else f"broken XML at byte {reader.parser.ErrorByteIndex}"
        )
    return _envelope(reader)


def _envelope(reader: _EnvelopeReader) -> Envelope:
    found = reader.found
    space, local = reader.body or ("", "")
    fault = local == "Fault"
    eoi = space.startswith(_EOI)
    action, resource = found.get("action"), found.get("resource")
    method = service = None
    protocol: Literal["wsman", "eoi"] | None = None
    if eoi:
        # http://schemas.intel.com/platform/client/SecurityAdministration/2004/01
        protocol, service, method = "eoi", space[len(_EOI) :].partition("/")[0], local
    elif action is not None:
        protocol = "wsman"
        service = resource and resource.rstrip("/").rpartition("/")[2]
        method = None if fault else action.rstrip("/").rpartition("/")[2]
    value = found.get("ReturnValue") or (found.get("Status") if eoi else None) or ""
    return Envelope(
        protocol=protocol,
        action=action and safe(action, _MAX_SHOWN),
        resource=resource and safe(resource, _MAX_SHOWN),
        message_id=found.get("id"),
        relates_to=found.get("relates"),
        selectors=tuple(reader.selectors),
        service=_name(service),
        method=_name(method and method.removesuffix("Response")),
        return_value=int(value) if _NUMBER.fullmatch(value) else None,
        fault=_name(_local(found.get("fault"))) if fault else None,
        subcode=_name(_local(found.get("subcode"))) if fault else None,
        reason=safe(found["reason"], _MAX_SHOWN) if fault and found.get("reason") else None,
    )


def _local(name: str | None) -> str | None:
    return name and name.rpartition(":")[2]


def _name(text: str | None) -> str | None:
    """A name that is one; else None."""
    return text if text and _NAME.fullmatch(text) else None
