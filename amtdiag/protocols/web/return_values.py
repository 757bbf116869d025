"""Calls that matter, and what the numbers that AMT answers with mean. Data only.

Each row names its source and how sure it is, with domain.md's marks: D an Intel page or manual, C public code
or code generated from Intel's class definitions. What no source says is not here: an unknown number stays a
number, and a remedy is given only where a source names one.
"""

from typing import NamedTuple

CLASS = "AMT_SetupAndConfigurationService, generated from Intel's MOF 11.0.0"
OPEN_AMT = "Open AMT go-wsman-messages"
OPEN_AMT_HBS = "Open AMT go-wsman-messages, ips/hostbasedsetup"
LMS = "Intel's StatusCodeDefinitions.h (local manageability service)"


class Call(NamedTuple):
    """What a call does to a device."""

    changes: str
    source: str
    confidence: str


class Status(NamedTuple):
    """What a return value says."""

    name: str
    meaning: str
    source: str
    confidence: str
    remedy: str | None = None


_SETUP = "AMT_SetupAndConfigurationService"
_HOST = "IPS_HostBasedSetupService"

CALLS: dict[tuple[str, str], Call] = {
    (_SETUP, "CommitChanges"): Call("makes pending settings take effect; ends setup", CLASS, "C"),
    (_SETUP, "Unprovision"): Call("resets the device to factory settings", CLASS, "C"),
    (_SETUP, "PartialUnprovision"): Call(
        "resets the device, but for what the next provisioning needs: admin ACL, PSK keys, names, server",
        CLASS,
        "C",
    ),
    (_SETUP, "ExtendProvisioningPeriod"): Call("prolongs the time in which setup is possible", CLASS, "C"),
    (_SETUP, "SetMEBxPassword"): Call("sets the password of the MEBx screen", CLASS, "C"),
    (_HOST, "AddNextCertInChain"): Call("sends one certificate of the provisioning chain", OPEN_AMT_HBS, "C"),
    (_HOST, "AdminSetup"): Call("sets the device up in admin control mode", OPEN_AMT_HBS, "C"),
    (_HOST, "Setup"): Call("sets the device up in client control mode", OPEN_AMT_HBS, "C"),
    (_HOST, "UpgradeClientToAdmin"): Call("moves it from client to admin control mode", OPEN_AMT_HBS, "C"),
    ("AMT_AuthorizationService", "SetAdminAclEntryEx"): Call(
        "sets the administrator's password", OPEN_AMT, "C"
    ),
}
"""By service and method; calls that only read are not here."""


def _pt(name: str, meaning: str, source: str = OPEN_AMT, remedy: str | None = None) -> Status:
    return Status(f"PT_STATUS_{name}", meaning, source, "C", remedy)


def _host(name: str, meaning: str) -> Status:
    return Status(name, meaning, OPEN_AMT_HBS, "C")


PT_STATUS: dict[int, Status] = {
    0: _pt("SUCCESS", "done"),
    1: _pt("INTERNAL_ERROR", "an internal error of the device"),
    2: _pt("NOT_READY", "the device has not come far enough in its start", LMS),
    3: _pt("INVALID_PT_MODE", "not permitted in the present operating mode", LMS),
    12: _pt("INVALID_NAME", "a name is invalid"),
    16: _pt("NOT_PERMITTED", "the caller may not do this"),
    23: _pt("MAX_LIMIT_REACHED", "no room is left for another entry"),
    24: _pt("INVALID_AUTH_TYPE", "the key algorithm is invalid"),
    25: _pt("AUTHENTICATION_FAILED", "authentication failed", LMS),
    26: _pt("INVALID_DHCP_MODE", "the DHCP mode is invalid"),
    27: _pt("INVALID_IP_ADDRESS", "an IP address is invalid"),
    28: _pt("INVALID_DOMAIN_NAME", "the domain name is invalid"),
    30: _pt("REQUEST_UNEXPECTED", "a message that must come first was not received"),
    32: _pt("INVALID_PROVISIONING_STATE", "the provisioning state is invalid"),
    34: _pt("INVALID_TIME", "the time is earlier than the device accepts", LMS),
    35: _pt("INVALID_INDEX", "an index is invalid"),
    36: _pt("INVALID_PARAMETER", "a parameter is invalid"),
    37: _pt("INVALID_NETMASK", "the network mask is invalid"),
    38: _pt("FLASH_WRITE_LIMIT_EXCEEDED", "the protection against flash wear prevented the write"),
    42: _pt("INVALID_PID_FORMAT", "the PID is malformed", LMS, "Use eight characters of A-Z and 0-9."),
    43: _pt("INVALID_PPS_FORMAT", "the PPS is malformed", LMS, "Use 32 characters of A-Z and 0-9."),
    1024: _pt("DISABLED_BY_POLICY", "a policy disables the operation", LMS),
    2054: _pt("INVALID_PASSWORD", "the password is invalid"),
    2055: _pt("INVALID_REALM", "the realm is invalid"),
    2057: _pt(
        "DATA_MISSING",
        "CommitChanges lacks essential data",
        OPEN_AMT,
        "Set first what the commit depends on: with TLS a key and a certificate, with DHCP a host name, with "
        "mutual authentication a trusted root and the time.",
    ),
    2058: _pt("DUPLICATE", "the value exists already"),
    2060: _pt("PKI_MISSING_KEYS", "the device lacks a private key", LMS),
    2061: _pt("PKI_GENERATING_KEYS", "the device is making a key pair", LMS, "Try again later."),
    2062: _pt("INVALID_KEY", "the RSA key is invalid"),
    2063: _pt("INVALID_CERT", "the certificate or its handle is invalid"),
    2064: _pt("CERT_KEY_NOT_MATCH", "certificate and private key do not belong together"),
    2065: _pt("MAX_KERB_DOMAIN_REACHED", "no room is left for another Kerberos domain"),
    2066: _pt("UNSUPPORTED", "this product does not support the setting"),
    2067: _pt("INVALID_PRIORITY", "the priority is invalid"),
    2068: _pt("NOT_FOUND", "the element was not found"),
    2069: _pt("INVALID_CREDENTIALS", "the user's credentials are invalid"),
    2070: _pt("INVALID_PASSPHRASE", "the passphrase is invalid"),
    2072: _pt("NO_ASSOCIATION", "a key pair must be associated first"),
    2075: _pt("AUDIT_FAIL", "the audit log must record this call and cannot"),
    2076: _pt(
        "BLOCKING_COMPONENT",
        "a component of the ME blocks the reset",
        CLASS,
        "Ask GetUnprovisionBlockingComponents which; 1 is the audit log.",
    ),
    2081: _pt("USER_CONSENT_REQUIRED", "the user's consent is needed and was not received"),
    2082: _pt("OPERATION_IN_PROGRESS", "the operation is not complete", OPEN_AMT, "Wait, then try again."),
}
"""Return values of Intel's own classes (AMT_, IPS_) and of the older SOAP interface."""

_HOST_SETUP: dict[int, Status] = {
    0: _host("Success", "done"),
    1: _host("InternalError", "an internal error of the device"),
    2: _host("InvalidState", "the device is in a state in which this is not possible"),
    3: _host("InvalidParam", "a parameter is invalid"),
    4: _host("MethodDisabled", "the method is disabled"),
    5: _host("AuthFailed", "authentication failed"),
    6: _host("FlashWriteLimitExceeded", "the protection against flash wear prevented the write"),
}
_ADMIN_SETUP = {value: status for value, status in _HOST_SETUP.items() if value != 4}

OWN_VALUES: dict[tuple[str, str], dict[int, Status]] = {
    (_HOST, "Setup"): _HOST_SETUP,
    (_HOST, "AdminSetup"): _ADMIN_SETUP,
    (_HOST, "UpgradeClientToAdmin"): {0: _HOST_SETUP[0]},
    (_HOST, "AddNextCertInChain"): {
        0: _host("Success", "done"),
        1: _host("InvalidParam", "a parameter is invalid"),
        2: _host("InternalError", "an internal error of the device"),
        3: _host("InvalidState", "the device is in a state in which this is not possible"),
        4: _host("CertVerifyFailed", "the certificate could not be verified"),
        5: _host("CertChainLengthExceeded", "the chain is too long"),
    },
}
"""Calls whose return values are numbered in their own way."""

_DMTF_METHODS = frozenset(
    {"RequestStateChange", "RequestPowerStateChange", "ChangeBootOrder", "SetBootConfigRole"}
)
"""Inherited from CIM classes: their return values are DMTF's, not Intel's."""

MEBX_CALL_REFUSED = (
    "MEBx has a policy for this call: only while its password is the default one and setup is by PKI, only "
    "during setup, or at any time; and it is blocked in client control mode."
)
"""Why SetMEBxPassword may answer PT_STATUS_NOT_PERMITTED. Sources: CLASS and OPEN_AMT, C."""


def changes(service: str | None, method: str | None) -> str | None:
    """Return what a call does to a device, where that is known."""
    call = CALLS.get((service or "", method or ""))
    return call.changes if call else None


def status(service: str | None, method: str | None, value: int | None) -> Status | None:
    """Return what a return value means, where that is known for this call."""
    if value is None or not service or not method:
        return None
    own = OWN_VALUES.get((service, method))
    if own is not None:
        return own.get(value)
    intel = service.startswith(("AMT_", "IPS_")) or "_" not in service
    return PT_STATUS.get(value) if intel and method not in _DMTF_METHODS else None


def remedy(service: str | None, method: str | None, value: int | None) -> str | None:
    """Return what a source says to do about a return value."""
    if (service, method, value) == (_SETUP, "SetMEBxPassword", 16):
        return MEBX_CALL_REFUSED
    found = status(service, method, value)
    return found.remedy if found else None
