"""Files that are not captures we read: what each is, and the command that makes a capture of it."""

from typing import NamedTuple

_EDITCAP = "editcap -F pcapng {file} out.pcapng"
_UNPACK = "unpack it and name what is inside"
HEAD_BYTES = 4096
"""How much of a file's beginning `identify` wants to see."""


class Foreign(NamedTuple):
    """One known format: bytes at an offset, its name, and what to do."""

    offset: int
    magic: bytes
    name: str
    remedy: str


FORMATS: tuple[Foreign, ...] = (
    Foreign(0, b"GMBU", "a Microsoft Network Monitor 2 capture", _EDITCAP),
    Foreign(0, b"RTSS", "a Microsoft Network Monitor 1 capture", _EDITCAP),
    Foreign(0, b"snoop\0\0\0", "a Solaris snoop capture", _EDITCAP),
    Foreign(0, b"TRSNIFF data    \x1a", "a DOS Sniffer capture", _EDITCAP),
    Foreign(0, b"XCP\0", "a NetXRay or Windows Sniffer capture", _EDITCAP),
    Foreign(0, b"\x7fver", "an OmniPeek or EtherPeek capture", _EDITCAP),
    Foreign(0, b"iptrace 1.0", "an AIX iptrace capture", _EDITCAP),
    Foreign(0, b"iptrace 2.0", "an AIX iptrace capture", _EDITCAP),
    Foreign(0, b"\xaa\xaa\xaa\xaa", "an Accellent 5Views capture", _EDITCAP),
    Foreign(0, b"\x05VNF", "a Visual Networks capture", _EDITCAP),
    Foreign(0, b"LOGG", "a Vector BLF log", _EDITCAP),
    Foreign(0, b"btsnoop\0", "a Bluetooth btsnoop log", "it holds no network packets"),
    Foreign(0, b"\x00\x04\x94\x9e", "an Aethra or K12 capture", _EDITCAP),
    Foreign(0, b"\x00\x00\x02\x00\x12\x05\x00\x10", "a Tektronix K12 capture", _EDITCAP),
    Foreign(
        0, b"ElfFile\0", "a Windows event log (.evtx)", "capture the network itself: pktmon or Wireshark"
    ),
    Foreign(0, b"HCPX", "a hashcat hccapx file", "name the capture it was made from"),
    Foreign(0, b"\x04\x22\x4d\x18", "an lz4 archive", "lz4 -d {file} out.pcapng"),
    Foreign(0, b"PK\x03\x04", "a ZIP archive", _UNPACK),
    Foreign(0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", _UNPACK),
    Foreign(0, b"Rar!\x1a\x07", "a RAR archive", _UNPACK),
    Foreign(257, b"ustar", "a tar archive", _UNPACK),
    Foreign(0, b"MSCF", "a Windows cabinet (netsh trace writes one beside its .etl)", _UNPACK),
    Foreign(0, b"\x1f\x9d", "a compress (.Z) file", "uncompress {file}"),
    Foreign(0, b"]\0\0", "an lzma file", "unlzma {file}"),
    Foreign(0, b"SQLite format 3\0", "an SQLite database", "name the capture itself"),
    Foreign(0, b"%PDF-", "a PDF", "name the capture itself"),
    Foreign(0, b"\x89PNG", "a PNG picture", "name the capture itself"),
    Foreign(0, b"\x7fELF", "a program", "name the capture itself"),
    Foreign(0, b"MZ", "a Windows program", "name the capture itself"),
    Foreign(0, b"<?xml", "an XML file", "export the packets as pcapng, not as text"),
    Foreign(0, b"<!DOCTYPE", "an HTML page", "download the capture itself"),
    Foreign(0, b"<html", "an HTML page", "download the capture itself"),
    Foreign(0, b"#separator", "a Zeek log", "name the capture it was made from"),
    Foreign(0, b"-----BEGIN", "a PEM file", "give a certificate with --root-of"),
)
"""First match wins; `{file}` in a remedy is replaced by the file's name."""

_ARCHAIC_PCAP = frozenset(
    {b"\xa1\xb2\x34\xcd", b"\xcd\x34\xb2\xa1", b"\xa1\x2b\x3c\x4d", b"\x4d\x3c\x2b\xa1"}
)
_IXIA = frozenset({b"\x1c\x00\x01\xac", b"\xac\x01\x00\x1c", b"\x1c\x00\x01\xab", b"\xab\x01\x00\x1c"})
_ETL_PROVIDER = "Microsoft-Windows-NDIS-PacketCapture".encode("utf-16-le")


def identify(head: bytes, name: str) -> tuple[str, str]:
    """Return what a file with these first bytes is, in words, and what to do about it.

    `name` stands in the command that is recommended, quoted as a shell wants it.
    """
    if not head:
        return "empty", "capture again: nothing was written"
    if head[:4] in _ARCHAIC_PCAP or head[:4] in _IXIA:
        return "a pcap variant that is not read here", _EDITCAP.format(file=name)
    if _is_event_trace(head, name):
        return "a Windows event trace (.etl)", f"pktmon etl2pcap {name} --out out.pcapng"
    for known in FORMATS:
        if head.startswith(known.magic, known.offset):
            return known.name, known.remedy.format(file=name)
    if _is_text(head):
        return "a text file", "save the packets as pcapng, not as text"
    return "of no known kind", f"if Wireshark opens it: {_EDITCAP.format(file=name)}"


def _is_event_trace(head: bytes, name: str) -> bool:
    """An .etl begins with a buffer header whose first word is the buffer's size, a power of two or so."""
    if _ETL_PROVIDER in head:
        return True
    size = int.from_bytes(head[:4], "little")
    looks_right = 1024 <= size <= 1 << 20 and size % 1024 == 0 and len(head) > 8
    return looks_right and name.lower().rstrip("'").endswith(".etl")


def _is_text(head: bytes) -> bool:
    sample = head[:512]
    try:
        text = sample.decode("utf-8", "strict" if len(head) <= 512 else "ignore")
    except UnicodeDecodeError:
        return False
    return all(c.isprintable() or c in "\r\n\t\f" for c in text)
