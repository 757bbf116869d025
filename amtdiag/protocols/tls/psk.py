"""What a pre-shared key opens: the master secret of a TLS-PSK session, and the proof that it fits.

Sources: RFC 4279 (PSK), RFC 5487 (PSK with GCM and SHA-2), RFC 2246, 4346 and 5246 (TLS 1.0 to 1.2), RFC 7627
(extended master secret), RFC 7366 (encrypt-then-MAC), RFC 7905 (ChaCha20). Only plain PSK can be opened by
the key alone: in the DHE, ECDHE and RSA families it is one of two secrets.
"""

import hashlib
import hmac
import struct
from typing import Literal, NamedTuple

TLS12 = 0x0303
TLS10 = 0x0301
_HANDSHAKE = 22
_MASTER_LENGTH = 48
_TAG = 16
_EXPLICIT_NONCE = 8

Cipher = Literal["rc4", "3des", "aes", "gcm", "chacha20", "null"]


class Suite(NamedTuple):
    """A plain PSK cipher suite."""

    name: str
    cipher: Cipher
    key: int
    """Length in bytes."""
    mac: str
    """Hash of the MAC; empty where the cipher authenticates."""
    prf: str = "sha256"
    """Hash of the pseudorandom function in TLS 1.2."""


SUITES: dict[int, Suite] = {
    0x002C: Suite("TLS_PSK_WITH_NULL_SHA", "null", 0, "sha1"),
    0x008A: Suite("TLS_PSK_WITH_RC4_128_SHA", "rc4", 16, "sha1"),
    0x008B: Suite("TLS_PSK_WITH_3DES_EDE_CBC_SHA", "3des", 24, "sha1"),
    0x008C: Suite("TLS_PSK_WITH_AES_128_CBC_SHA", "aes", 16, "sha1"),
    0x008D: Suite("TLS_PSK_WITH_AES_256_CBC_SHA", "aes", 32, "sha1"),
    0x00A8: Suite("TLS_PSK_WITH_AES_128_GCM_SHA256", "gcm", 16, ""),
    0x00A9: Suite("TLS_PSK_WITH_AES_256_GCM_SHA384", "gcm", 32, "", "sha384"),
    0x00AE: Suite("TLS_PSK_WITH_AES_128_CBC_SHA256", "aes", 16, "sha256"),
    0x00AF: Suite("TLS_PSK_WITH_AES_256_CBC_SHA384", "aes", 32, "sha384", "sha384"),
    0xCCAB: Suite("TLS_PSK_WITH_CHACHA20_POLY1305_SHA256", "chacha20", 32, ""),
}


class PskHandshake(NamedTuple):
    """What of a handshake the keys are made of, and the first record that they protect."""

    version: int
    suite: int
    client_random: bytes
    server_random: bytes
    transcript: bytes | None
    """The handshake messages up to ClientKeyExchange, where the master secret is bound to them (RFC 7627)."""
    encrypt_then_mac: bool
    finished: bytes
    """Body of the client's first record after its ChangeCipherSpec."""


def opens(handshake: PskHandshake, key: bytes) -> bytes | None:
    """Return the master secret if the client had this key, else None.

    The proof is the authentication of the client's first protected record. Never raises.
    """
    suite = SUITES.get(handshake.suite)
    if suite is None or not TLS10 <= handshake.version <= TLS12:
        return None
    master = _master_secret(handshake, suite, key)
    return master if _is_authentic(handshake, suite, master) else None


def _master_secret(handshake: PskHandshake, suite: Suite, key: bytes) -> bytes:
    premaster = _vector(bytes(len(key))) + _vector(key)
    if handshake.transcript is None:
        label, seed = b"master secret", handshake.client_random + handshake.server_random
    else:
        label, seed = b"extended master secret", _digest(handshake, suite)
    return _prf(handshake, suite, premaster, label + seed, _MASTER_LENGTH)


def _digest(handshake: PskHandshake, suite: Suite) -> bytes:
    sent = handshake.transcript or b""
    if handshake.version == TLS12:
        return hashlib.new(suite.prf, sent).digest()
    weak = (hashlib.new(name, sent, usedforsecurity=False).digest() for name in ("md5", "sha1"))
    return b"".join(weak)


def _vector(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data


def _prf(handshake: PskHandshake, suite: Suite, secret: bytes, seed: bytes, length: int) -> bytes:
    """The pseudorandom function of the version: RFC 5246, 5; RFC 4346, 5."""
    if handshake.version == TLS12:
        return _expand(suite.prf, secret, seed, length)
    half = (len(secret) + 1) // 2
    md5 = _expand("md5", secret[:half], seed, length)
    sha1 = _expand("sha1", secret[-half:], seed, length)
    return bytes(a ^ b for a, b in zip(md5, sha1, strict=True))


def _expand(name: str, secret: bytes, seed: bytes, length: int) -> bytes:
    out, link = b"", seed
    while len(out) < length:
        link = hmac.new(secret, link, name).digest()
        out += hmac.new(secret, link + seed, name).digest()
    return out[:length]


# -------------------------------------------------------------------------------------- the client's Finished


def _is_authentic(handshake: PskHandshake, suite: Suite, master: bytes) -> bool:
    """True where the client's first protected record was made with the keys of this master secret."""
    mac_length = hashlib.new(suite.mac).digest_size if suite.mac else 0
    iv_length = {"gcm": 4, "chacha20": 12, "3des": 8, "aes": 16}.get(suite.cipher, 0)
    seed = b"key expansion" + handshake.server_random + handshake.client_random
    block = _prf(handshake, suite, master, seed, 2 * (mac_length + suite.key + iv_length))
    # Client's and server's MAC keys, then their keys, then their initial values.
    mac_key = block[:mac_length]
    key = block[2 * mac_length : 2 * mac_length + suite.key]
    iv = block[2 * (mac_length + suite.key) :][:iv_length]
    body = handshake.finished
    if suite.cipher in ("gcm", "chacha20"):
        return _aead_holds(handshake, suite, key, iv, body)
    if handshake.encrypt_then_mac and suite.cipher in ("aes", "3des"):
        return _mac_holds(handshake, suite, mac_key, body[:-mac_length], body[-mac_length:])
    plain = _decrypted(handshake, suite, key, iv, body)
    if plain is None or len(plain) < mac_length:
        return False
    return _mac_holds(handshake, suite, mac_key, plain[:-mac_length], plain[-mac_length:])


def _head(handshake: PskHandshake, length: int) -> bytes:
    """What is authenticated besides the content: number, type, version and length of the record."""
    return struct.pack(">QBHH", 0, _HANDSHAKE, handshake.version, length)


def _mac_holds(handshake: PskHandshake, suite: Suite, key: bytes, data: bytes, mac: bytes) -> bool:
    expected = hmac.new(key, _head(handshake, len(data)) + data, suite.mac).digest()
    return hmac.compare_digest(expected, mac)


def _decrypted(handshake: PskHandshake, suite: Suite, key: bytes, iv: bytes, body: bytes) -> bytes | None:
    """Content and MAC of a record, without its padding; None where it cannot be one."""
    if suite.cipher == "null":
        return body
    from cryptography.hazmat.decrepit.ciphers.algorithms import ARC4, TripleDES
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    if suite.cipher == "rc4":
        return Cipher(ARC4(key), None).decryptor().update(body)
    block = len(iv)
    if handshake.version > TLS10:
        iv, body = body[:block], body[block:]
    if not body or len(body) % block or len(iv) != block:
        return None
    algorithm = TripleDES(key) if suite.cipher == "3des" else algorithms.AES(key)
    plain = Cipher(algorithm, modes.CBC(iv)).decryptor().update(body)
    padding = plain[-1] + 1
    return plain[:-padding] if padding <= len(plain) else None


def _aead_holds(handshake: PskHandshake, suite: Suite, key: bytes, iv: bytes, body: bytes) -> bool:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

    if suite.cipher == "gcm":
        nonce, sealed = iv + body[:_EXPLICIT_NONCE], body[_EXPLICIT_NONCE:]
    else:
        nonce, sealed = iv, body  # the nonce is the initial value, mixed with the record's number: 0
    if len(sealed) < _TAG:
        return False
    box = AESGCM(key) if suite.cipher == "gcm" else ChaCha20Poly1305(key)
    try:
        box.decrypt(nonce, sealed, _head(handshake, len(sealed) - _TAG))
    except InvalidTag:
        return False
    return True


# ---------------------------------------------------------------------------------------- the form of the key


class Form(NamedTuple):
    """A way to make a key of the characters of a PPS."""

    name: str
    key: bytes


def forms(pps: str) -> tuple[Form, ...]:
    """Return the keys that a PPS may stand for, likeliest first.

    Which one a firmware uses is not documented; the one that opens a session is the one that was used.
    """
    bare = pps.replace("-", "")
    grouped = "-".join(bare[at : at + 4] for at in range(0, len(bare), 4))
    return (
        Form("the 32 characters without dashes", bare.encode("ascii", "replace")),
        Form("with its dashes", grouped.encode("ascii", "replace")),
    )
