"""Options of a run and the limits that keep hostile input from taking the machine.

Each limit that is hit becomes a note that the reader of the report sees.
"""

from typing import NamedTuple

MIB = 1 << 20


class Limits(NamedTuple):
    """Upper bounds. The defaults leave room for real captures and none for bombs."""

    decompressed_total: int = 1 << 40
    """Bytes that one compressed file may unpack to."""
    decompression_ratio: int = 300
    """Unpacked bytes per packed byte, judged once `decompression_ratio_from` bytes are out."""
    decompression_ratio_from: int = 256 * MIB
    decompressor_memory: int = 128 * MIB
    """Window or dictionary that a decompressor may ask for."""
    record_bytes: int = 262_144
    """Longest packet record; capture tools stop at the same length."""
    block_bytes: int = 16 * MIB
    """Longest pcapng block."""
    secrets_bytes: int = 4 * MIB
    """TLS key logs that one pcapng file may bring."""
    interfaces: int = 65_536
    """Interfaces of one pcapng file."""
    fragment_datagrams: int = 1024
    """IP datagrams waiting for fragments at one time."""
    fragment_bytes: int = 8 * MIB
    undecided_conversations: int = 16_384
    """Conversations on unexpected ports of which too little has been seen to tell a Hello."""
    marked_conversations: int = 65_536
    """Conversations on unexpected ports that began like a Hello."""
    rejected_conversations: int = 65_536
    """Conversations on unexpected ports remembered because they began otherwise."""
    held_packets: int = 2048
    """Packets that one undecided conversation may keep."""
    held_packets_in_all: int = 65_536
    connections: int = 65_536
    """TCP connections followed at one time."""
    streams_bytes: int = 512 * MIB
    """Memory for the bytes of all connections together; the oldest connection is read early."""
    stream_bytes: int = MIB
    """Bytes kept of one direction of a connection: a provisioning session has some hundred thousand."""
    stream_chunks: int = 70_000
    """Separate pieces kept of one direction."""
    evidence: int = 8
    """Frames named per finding; all are counted."""
    sealed_bytes: int = 64 * MIB
    """Encrypted conversations kept until it is known which secrets there are."""
    events: int = 2_000_000
    """Hellos, and connections, kept for one analysis; so many of each."""
    lane_events: int = 500_000
    """DHCP messages, DNS questions, RMCP messages and changes of address kept; so many of each."""
    exchanges: int = 100_000
    """HTTP requests with their answers kept for one analysis, at most 256 of one connection."""
    devices: int = 200_000
    """Devices kept for one analysis."""
    folder_files: int = 100_000
    """Files taken from folders."""


class Cluster(NamedTuple):
    """The scheduler of dask.distributed whose workers are to read: ``tls://host:port``, or ``tcp://``."""

    address: str
    insecure: bool = False
    """Plain TCP will do even where the scheduler is on another machine."""


class Options(NamedTuple):
    """What the caller chose.

    `ports` are Hello ports beyond the standard ones. `root_digests` are the SHA-1, SHA-256 and SHA-384 of
    the caller's own root certificate, `root_name` its name. `servers` are the addresses of the caller's
    provisioning servers; empty where they were not named. `workers` processes read several files, one a core
    where that is None and it pays; the workers of a `cluster` do so instead. The result is the same. `chain`
    is the caller's provisioning chain, DER, as a server sends it; `key_log` are lines as of SSLKEYLOGFILE and
    `keys` pairs of PID and PPS, with which TLS is decrypted; `chain_name` the name of its leaf.
    """

    ports: tuple[int, ...] = ()
    root_name: str | None = None
    root_digests: frozenset[bytes] = frozenset()
    strict: bool = False
    servers: frozenset[str] = frozenset()
    workers: int | None = None
    chain: tuple[bytes, ...] = ()
    chain_name: str | None = None
    cluster: Cluster | None = None
    key_log: bytes = b""
    keys: tuple[tuple[str, str], ...] = ()
    limits: Limits = Limits()
