"""The numbers of TLS, as IANA registers them ("TLS Parameters", "TLS ExtensionType Values").

Sources: RFC 5246 (TLS 1.2), RFC 8446 (TLS 1.3), RFC 6101 (SSL 3.0), RFC 4279 (PSK), RFC 5077 (tickets), RFC
5746 (renegotiation), RFC 6066 (server name).
"""

from __future__ import annotations

ALERTS = {
    0: "close notify",
    10: "unexpected message",
    20: "bad record MAC",
    21: "decryption failed",
    22: "record overflow",
    30: "decompression failure",
    40: "handshake failure",
    41: "no certificate",
    42: "bad certificate",
    43: "unsupported certificate",
    44: "certificate revoked",
    45: "certificate expired",
    46: "certificate unknown",
    47: "illegal parameter",
    48: "unknown CA",
    49: "access denied",
    50: "decode error",
    51: "decrypt error",
    60: "export restriction",
    70: "protocol version",
    71: "insufficient security",
    80: "internal error",
    86: "inappropriate fallback",
    90: "user cancelled",
    100: "no renegotiation",
    109: "missing extension",
    110: "unsupported extension",
    111: "certificate unobtainable",
    112: "unrecognized name",
    113: "bad certificate status response",
    114: "bad certificate hash value",
    115: "unknown PSK identity",
    116: "certificate required",
    120: "no application protocol",
}
CLOSE_NOTIFY = 0
WARNINGS = frozenset({CLOSE_NOTIFY, 41, 100, 112})
"""Alerts that, at level warning, let a handshake go on."""
WARNING, FATAL = 1, 2

CHANGE_CIPHER, ALERT, HANDSHAKE, APPLICATION = 20, 21, 22, 23
RECORD_TYPES = frozenset({CHANGE_CIPHER, ALERT, HANDSHAKE, APPLICATION, 24})
"""24: heartbeat (RFC 6520)."""
SSLV2_HELLO = 128
"""Our own number for a ClientHello in the record format of SSL 2.0 (RFC 5246, E.2)."""

TLS13 = 0x0304
_DRAFTS_OF_13 = 0x7F00
VERSIONS = {0x0300: "SSL 3.0", 0x0301: "TLS 1.0", 0x0302: "TLS 1.1", 0x0303: "TLS 1.2", TLS13: "TLS 1.3"}

HELLO_REQUEST = 0
CLIENT_HELLO = 1
SERVER_HELLO = 2
SESSION_TICKET = 4
CERTIFICATE = 11
SERVER_KEY_EXCHANGE = 12
CERTIFICATE_REQUEST = 13
SERVER_HELLO_DONE = 14
CERTIFICATE_VERIFY = 15
CLIENT_KEY_EXCHANGE = 16
CERTIFICATE_STATUS = 22
MESSAGES = {
    HELLO_REQUEST: "HelloRequest",
    CLIENT_HELLO: "ClientHello",
    SERVER_HELLO: "ServerHello",
    3: "HelloVerifyRequest",
    SESSION_TICKET: "NewSessionTicket",
    5: "EndOfEarlyData",
    6: "HelloRetryRequest",
    8: "EncryptedExtensions",
    CERTIFICATE: "Certificate",
    SERVER_KEY_EXCHANGE: "ServerKeyExchange",
    CERTIFICATE_REQUEST: "CertificateRequest",
    SERVER_HELLO_DONE: "ServerHelloDone",
    CERTIFICATE_VERIFY: "CertificateVerify",
    CLIENT_KEY_EXCHANGE: "ClientKeyExchange",
    20: "Finished",
    21: "CertificateURL",
    CERTIFICATE_STATUS: "CertificateStatus",
    23: "SupplementalData",
    24: "KeyUpdate",
    25: "CompressedCertificate",
    67: "NextProtocol",
}
HELLO_RETRY_REQUEST = "HelloRetryRequest"
"""In TLS 1.3 a ServerHello with a random of its own (RFC 8446, 4.1.3)."""
BEFORE_13_ONLY = frozenset(
    {
        CERTIFICATE,
        SERVER_KEY_EXCHANGE,
        CERTIFICATE_REQUEST,
        SERVER_HELLO_DONE,
        CERTIFICATE_VERIFY,
        CLIENT_KEY_EXCHANGE,
    }
)
"""Messages that are never in the clear in TLS 1.3."""

SERVER_NAME = 0
PRE_SHARED_KEY = 41
SUPPORTED_VERSIONS = 43
RENEGOTIATION_INFO = 0xFF01

CERTIFICATE_TYPES = {
    1: "RSA sign",
    2: "DSS sign",
    3: "RSA fixed DH",
    4: "DSS fixed DH",
    5: "RSA ephemeral DH",
    6: "DSS ephemeral DH",
    64: "ECDSA sign",
    65: "RSA fixed ECDH",
    66: "ECDSA fixed ECDH",
}
SIGNATURES = {
    0x0101: "rsa_pkcs1_md5",
    0x0201: "rsa_pkcs1_sha1",
    0x0202: "dsa_sha1",
    0x0203: "ecdsa_sha1",
    0x0301: "rsa_pkcs1_sha224",
    0x0302: "dsa_sha224",
    0x0303: "ecdsa_sha224",
    0x0401: "rsa_pkcs1_sha256",
    0x0402: "dsa_sha256",
    0x0403: "ecdsa_secp256r1_sha256",
    0x0501: "rsa_pkcs1_sha384",
    0x0502: "dsa_sha384",
    0x0503: "ecdsa_secp384r1_sha384",
    0x0601: "rsa_pkcs1_sha512",
    0x0602: "dsa_sha512",
    0x0603: "ecdsa_secp521r1_sha512",
    0x0804: "rsa_pss_rsae_sha256",
    0x0805: "rsa_pss_rsae_sha384",
    0x0806: "rsa_pss_rsae_sha512",
    0x0807: "ed25519",
    0x0808: "ed448",
    0x0809: "rsa_pss_pss_sha256",
    0x080A: "rsa_pss_pss_sha384",
    0x080B: "rsa_pss_pss_sha512",
}


def is_13(version: int) -> bool:
    """True for TLS 1.3 and its drafts."""
    return version == TLS13 or version & 0xFF00 == _DRAFTS_OF_13


def version_name(version: int) -> str:
    """Return what a version is called, or its number."""
    return VERSIONS.get(version) or ("TLS 1.3 (draft)" if is_13(version) else f"0x{version:04X}")
