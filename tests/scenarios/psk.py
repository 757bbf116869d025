"""TLS 1.1 with a pre-shared key (RFC 4279), as AMT up to 10.x speaks it.

Python's ssl module learned PSK only in 3.13 and OpenSSL no longer offers it below TLS 1.2 by default, so the
handshake is computed here. Wireshark, given the key, decrypts it: the tests hold it to that.
"""

from __future__ import annotations

import hashlib
import hmac
import random
import struct

from scenarios.tls import REQUEST, RESPONSE, Flight

VERSION = 0x0302
CIPHER_SUITE = 0x008C
"""TLS_PSK_WITH_AES_128_CBC_SHA."""
OFFERED = (CIPHER_SUITE, 0x008D, 0x00FF)
"""Also AES-256, and the signal for secure renegotiation."""
_BLOCK = 16
_BAD_RECORD_MAC = 20


def session(rng: random.Random, pid: str, pps: bytes, *, host: str, key_matches: bool = True) -> list[Flight]:
    """A session between an SCA (client) and a device (server) that share PID and PPS.

    Where the keys differ, the device answers the SCA's Finished with a fatal alert (20, bad record MAC).
    """
    client_random, server_random = rng.randbytes(32), rng.randbytes(32)
    suites = b"".join(struct.pack(">H", suite) for suite in OFFERED)
    client_hello = _handshake(
        1,
        struct.pack(">H", VERSION) + client_random + _vector(b"", 1) + _vector(suites, 2) + _vector(b"\0", 1),
    )
    server_hello = _handshake(
        2,
        struct.pack(">H", VERSION)
        + server_random
        + _vector(rng.randbytes(32), 1)
        + struct.pack(">HB", CIPHER_SUITE, 0),
    )
    server_done = _handshake(14, b"")
    key_exchange = _handshake(16, _vector(pid.encode("ascii"), 2))
    sent = client_hello + server_hello + server_done + key_exchange
    premaster = _vector(bytes(len(pps)), 2) + _vector(pps, 2)
    master = _prf(premaster, b"master secret", client_random + server_random, 48)
    keys = _prf(master, b"key expansion", server_random + client_random, 2 * 20 + 2 * 16)
    client = _Sealer(rng, keys[0:20], keys[40:56])
    server = _Sealer(rng, keys[20:40], keys[56:72])

    change = _record(20, b"\x01")
    client_finished = _finished(master, b"client finished", sent)
    flights = [
        Flight(True, _record(22, client_hello)),
        Flight(False, _record(22, server_hello) + _record(22, server_done)),
        Flight(True, _record(22, key_exchange) + change + client.seal(22, client_finished)),
    ]
    if not key_matches:
        return [*flights, Flight(False, _record(21, bytes([2, _BAD_RECORD_MAC])))]
    server_finished = _finished(master, b"server finished", sent + client_finished)
    return [
        *flights,
        Flight(False, change + server.seal(22, server_finished)),
        Flight(True, client.seal(23, REQUEST % host.encode("ascii"))),
        Flight(False, server.seal(23, RESPONSE)),
        Flight(True, client.seal(21, bytes([1, 0]))),
    ]


class _Sealer:
    """Encrypts the records of one direction: MAC, padding, AES-CBC with an IV of its own in front."""

    def __init__(self, rng: random.Random, mac_key: bytes, key: bytes) -> None:
        self._rng, self._mac_key, self._key = rng, mac_key, key
        self._number = 0

    def seal(self, kind: int, data: bytes) -> bytes:
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

        head = struct.pack(">QBHH", self._number, kind, VERSION, len(data))
        self._number += 1
        body = data + hmac.new(self._mac_key, head + data, "sha1").digest()
        padding = _BLOCK - 1 - len(body) % _BLOCK
        iv = self._rng.randbytes(_BLOCK)
        encryptor = Cipher(algorithms.AES(self._key), modes.CBC(iv)).encryptor()
        return _record(kind, iv + encryptor.update(body + bytes([padding] * (padding + 1))))


def _record(kind: int, data: bytes) -> bytes:
    return struct.pack(">BHH", kind, VERSION, len(data)) + data


def _handshake(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + len(body).to_bytes(3, "big") + body


def _vector(data: bytes, size: int) -> bytes:
    return len(data).to_bytes(size, "big") + data


def _finished(master: bytes, label: bytes, sent: bytes) -> bytes:
    digests = hashlib.md5(sent, usedforsecurity=False).digest()
    digests += hashlib.sha1(sent, usedforsecurity=False).digest()
    return _handshake(20, _prf(master, label, digests, 12))


def _prf(secret: bytes, label: bytes, seed: bytes, length: int) -> bytes:
    """The pseudorandom function of TLS 1.0 and 1.1 (RFC 4346, 5)."""
    half = (len(secret) + 1) // 2
    md5 = _expand("md5", secret[:half], label + seed, length)
    sha1 = _expand("sha1", secret[-half:], label + seed, length)
    return bytes(a ^ b for a, b in zip(md5, sha1, strict=True))


def _expand(name: str, secret: bytes, seed: bytes, length: int) -> bytes:
    out, link = b"", seed
    while len(out) < length:
        link = hmac.new(secret, link, name).digest()
        out += hmac.new(secret, link + seed, name).digest()
    return out[:length]
