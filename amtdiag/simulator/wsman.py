"""A small WS-Management responder: the reads and calls by which servers provision a device.

It looks for four things in a request by their patterns and answers from two tables; nothing is executed. What
class has which fields: Intel's WS-MAN class reference as Open AMT go-wsman-messages and MeshCommander use it.
"""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID, uuid4

from amtdiag.simulator.http import Guard, HttpRequest, reply
from amtdiag.simulator.scenarios import FAULT, HANG_UP

AMT = "http://intel.com/wbem/wscim/1/amt-schema/1/"
FAULT_ACTION = "http://schemas.xmlsoap.org/ws/2004/08/addressing/fault"
REALM = "Digest:8491000000000000000000000000000F"
USER = "admin"
_CIM = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/"
_IPS = "http://intel.com/wbem/wscim/1/ips-schema/1/"
_BASES = {"AMT": AMT, "CIM": _CIM, "IPS": _IPS}
_TRANSFER = "http://schemas.xmlsoap.org/ws/2004/09/transfer/"
_ENUMERATION = "http://schemas.xmlsoap.org/ws/2004/09/enumeration"
_ADDRESSING = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
_WSMAN = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"
_IDENTITY = "http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd"
_ENVELOPE = "http://www.w3.org/2003/05/soap-envelope"
_XML = '<?xml version="1.0" encoding="UTF-8"?>'
_ANONYMOUS = f"{_ADDRESSING}/role/anonymous"
_SOAP = "application/soap+xml; charset=UTF-8"
_MAX_CERTIFICATES = 8
"""That a device keeps."""


def _value(name: str) -> re.Pattern[str]:
    return re.compile(rf"<(?:\w+:)?{name}(?:\s[^<>]*)?>([^<]*)</")


_ACTION, _RESOURCE, _MESSAGE, _CONTEXT = map(
    _value, ("Action", "ResourceURI", "MessageID", "EnumerationContext")
)
_BLOB, _DIGEST = map(_value, ("CertificateBlob", "DigestPassword"))
_INSTANCE = re.compile(r"<(?:\w+:)?Selector\s+Name=\"InstanceID\"[^<>]*>([^<]*)</")
_SPACE = re.compile(r' xmlns:(\w)="([^"]*)"')

Fields = Mapping[str, str]


@dataclass
class Memory:
    """What one device knows and keeps."""

    uuid: str
    firmware: str
    domain: str
    public_key: bytes
    """Of the key pair that it makes when asked (PKCS #1, DER)."""
    guard: Guard
    committed: bool = False
    has_key: bool = False
    certificates: list[str] = field(default_factory=list)
    """In base64, as they were given."""


class Reply(NamedTuple):
    """What a device does about a request."""

    data: bytes
    """Empty: it hangs up."""
    call: str | None = None
    """The method that was called, if one was."""
    result: str = ""


class Responder:
    """A device's web server."""

    def __init__(self, memory: Memory, answers: Mapping[str, int], *, refuses: bool) -> None:
        self._memory = memory
        self._answers = answers
        self._refuses = refuses

    def answer(self, request: HttpRequest) -> Reply:
        """Answer one request."""
        memory = self._memory
        if self._refuses or not memory.guard.admits(request):
            page = "<html><body>401 Unauthorized</body></html>"
            return Reply(self._http(401, page, "text/html", memory.guard.challenge()), None, "401")
        if request.path.split("?")[0] != "/wsman" or request.method != "POST":
            return Reply(self._http(404, "", "text/html"), None, "404")
        text = request.body.decode("utf-8", "replace")
        if "Identify" in text and not _ACTION.search(text):
            return Reply(self._http(200, self._identify(), _SOAP), "Identify", "200")
        return self._act(text, *(_first(pattern, text) for pattern in (_ACTION, _RESOURCE, _MESSAGE)))

    def _act(self, text: str, action: str, resource: str, message: str) -> Reply:
        kind, verb = resource.rpartition("/")[2], action.rpartition("/")[2]
        if not resource or not verb:
            return self._fault(message, "InvalidRepresentation", None)
        if action.startswith((_TRANSFER, _ENUMERATION)):
            body = self._read(verb, kind, resource, text)
            if body is None:
                return self._fault(message, "DestinationUnreachable", None)
            return Reply(self._http(200, self._envelope(f"{action}Response", resource, message, body), _SOAP))
        number = self._answers.get(verb, 0)
        if number == HANG_UP:
            return Reply(b"", verb, "hangs up")
        if number == FAULT:
            return self._fault(message, "InvalidRepresentation", verb)
        inner = f"<g:ReturnValue>{number}</g:ReturnValue>"
        if not number:
            inner = EFFECTS.get(verb, _nothing)(self._memory, text) + inner
        body = f'<g:{verb}_OUTPUT xmlns:g="{resource}">{inner}</g:{verb}_OUTPUT>'
        return Reply(
            self._http(200, self._envelope(f"{action}Response", resource, message, body), _SOAP),
            verb,
            str(number),
        )

    def _read(self, verb: str, kind: str, resource: str, text: str) -> str | None:
        """What comes in the body of the answer to a read; None where there is no such class."""
        instances = CLASSES[kind](self._memory) if kind in CLASSES else None
        match verb:
            case "Get" if instances:
                wanted = _first(_INSTANCE, text)
                return _instance(kind, resource, _chosen(instances, wanted))
            case "Put":
                return _instance(kind, resource, (instances or [{}])[0])
            case "Create":
                return _reference("ResourceCreated", resource, "created", _TRANSFER.rstrip("/"))
            case "Delete":
                return ""
            case "Enumerate":
                inner = f"<g:EnumerationContext>{kind}</g:EnumerationContext>"
                return f'<g:EnumerateResponse xmlns:g="{_ENUMERATION}">{inner}</g:EnumerateResponse>'
            case "Pull":
                name = _first(_CONTEXT, text) or kind
                made = CLASSES[name](self._memory) if name in CLASSES else []
                space = _BASES.get(name.partition("_")[0], "") + name
                items = "".join(_instance(name, space, instance) for instance in made)
                inner = f"<g:Items>{items}</g:Items><g:EndOfSequence></g:EndOfSequence>"
                return f'<g:PullResponse xmlns:g="{_ENUMERATION}">{inner}</g:PullResponse>'
            case _:
                return None

    def _fault(self, message: str, code: str, call: str | None) -> Reply:
        body = (
            f"<a:Fault><a:Code><a:Value>a:Sender</a:Value><a:Subcode><a:Value>c:{code}</a:Value></a:Subcode>"
            '</a:Code><a:Reason><a:Text xml:lang="en-US">The request is not accepted</a:Text></a:Reason>'
            "</a:Fault>"
        )
        return Reply(
            self._http(400, self._envelope(FAULT_ACTION, "", message, body), _SOAP), call or code, "fault"
        )

    def _http(self, status: int, body: str, kind: str, *headers: str) -> bytes:
        return reply(status, self._memory.firmware, body, kind, *headers)

    def _identify(self) -> str:
        version = self._memory.firmware
        return (
            f'{_XML}<a:Envelope xmlns:a="{_ENVELOPE}" '
            f'xmlns:b="{_IDENTITY}"><a:Body><b:IdentifyResponse><b:ProtocolVersion>{_WSMAN}</b:ProtocolVersion>'
            "<b:ProductVendor>Intel(R)</b:ProductVendor>"
            f"<b:ProductVersion>AMT {version}</b:ProductVersion></b:IdentifyResponse></a:Body></a:Envelope>"
        )

    @staticmethod
    def _envelope(action: str, resource: str, message: str, body: str) -> str:
        about = f"<c:ResourceURI>{resource}</c:ResourceURI>" if resource else ""
        # All name spaces stand in the envelope, as AMT has it: MeshCentral misreads an element with any.
        spaces = "".join(f' xmlns:{name}="{space}"' for name, space in dict(_SPACE.findall(body)).items())
        body = _SPACE.sub("", body)
        return (
            f'{_XML}<a:Envelope xmlns:a="{_ENVELOPE}" xmlns:b="{_ADDRESSING}" xmlns:c="{_WSMAN}"{spaces}>'
            f"<a:Header><b:To>{_ANONYMOUS}</b:To>"
            f"<b:RelatesTo>{message}</b:RelatesTo>"
            f'<b:Action a:mustUnderstand="true">{action}</b:Action>'
            f"<b:MessageID>uuid:{uuid4()}</b:MessageID>{about}</a:Header><a:Body>{body}</a:Body></a:Envelope>"
        )


def _first(pattern: re.Pattern[str], text: str) -> str:
    """What a pattern finds first; it is XML text, without a tag in it, and may stand in XML again."""
    found = pattern.search(text)
    return found[1].strip() if found and '"' not in found[1] else ""


def _chosen(instances: list[Fields], wanted: str) -> Fields:
    return next((instance for instance in instances if instance.get("InstanceID") == wanted), instances[0])


def _instance(kind: str, resource: str, fields: Fields) -> str:
    inner = "".join(f"<h:{name}>{value}</h:{name}>" for name, value in fields.items())
    return f'<h:{kind} xmlns:h="{resource}">{inner}</h:{kind}>'


def _reference(name: str, resource: str, instance: str, space: str) -> str:
    return (
        f'<g:{name} xmlns:g="{space}"><b:Address>{_ANONYMOUS}</b:Address><b:ReferenceParameters>'
        f'<c:ResourceURI>{resource}</c:ResourceURI><c:SelectorSet><c:Selector Name="InstanceID">'
        f"{instance}</c:Selector></c:SelectorSet></b:ReferenceParameters></g:{name}>"
    )


# ------------------------------------------------------------------------------------------ what the calls do


def _nothing(_memory: Memory, _text: str) -> str:
    return ""


def _commit(memory: Memory, _text: str) -> str:
    memory.committed = True
    return ""


def _unprovision(memory: Memory, _text: str) -> str:
    memory.committed = memory.has_key = False
    memory.certificates.clear()
    return ""


def _password(memory: Memory, text: str) -> str:
    """Take the hash that every request must be answered with from now on."""
    try:
        digest = base64.b64decode(_first(_DIGEST, text), validate=True)
    except ValueError:
        return ""
    if len(digest) == 16:
        memory.guard.secret = digest.hex()
    return ""


def _certificate(memory: Memory, text: str) -> str:
    if len(memory.certificates) < _MAX_CERTIFICATES:
        memory.certificates.append(_first(_BLOB, text))
    handle = _handle(max(0, len(memory.certificates) - 1))
    kind = "AMT_PublicKeyCertificate"
    return _reference("CreatedCertificate", AMT + kind, handle, f"{AMT}AMT_PublicKeyManagementService")


def _key_pair(memory: Memory, _text: str) -> str:
    memory.has_key = True
    kind = "AMT_PublicPrivateKeyPair"
    space = f"{AMT}AMT_PublicKeyManagementService"
    return _reference("KeyPair", AMT + kind, "Intel(r) AMT Key: Handle: 0", space)


def _clock(_memory: Memory, _text: str) -> str:
    return f"<g:Ta0>{int(time.time())}</g:Ta0>"


def _uuid(memory: Memory, _text: str) -> str:
    return f"<g:UUID>{base64.b64encode(UUID(memory.uuid).bytes_le).decode('ascii')}</g:UUID>"


EFFECTS: dict[str, Callable[[Memory, str], str]] = {
    "CommitChanges": _commit,
    "AdminSetup": _commit,
    "Unprovision": _unprovision,
    "PartialUnprovision": _unprovision,
    "SetAdminAclEntryEx": _password,
    "AddCertificate": _certificate,
    "AddTrustedRootCertificate": _certificate,
    "GenerateKeyPair": _key_pair,
    "GetLowAccuracyTimeSynch": _clock,
    "GetUuid": _uuid,
}
"""Methods that do more than return 0. Any other is answered with 0 too, and does nothing."""


# ------------------------------------------------------------------------------------------- what can be read


def _handle(number: int) -> str:
    return f"Intel(r) AMT Certificate: Handle: {number}"


def _state(memory: Memory) -> str:
    return "2" if memory.committed else "1"


CLASSES: dict[str, Callable[[Memory], list[Fields]]] = {
    "AMT_GeneralSettings": lambda memory: [
        {
            "AMTNetworkEnabled": "1",
            "DDNSUpdateEnabled": "false",
            "DigestRealm": memory.guard.realm,
            "DomainName": memory.domain,
            "HostName": "",
            "InstanceID": "Intel(r) AMT: General Settings",
            "NetworkInterfaceEnabled": "true",
            "PingResponseEnabled": "true",
            "PowerSource": "0",
            "RmcpPingResponseEnabled": "true",
            "SharedFQDN": "true",
            "WsmanOnlyMode": "false",
        }
    ],
    "AMT_SetupAndConfigurationService": lambda memory: [
        {
            "ConfigurationServerFQDN": "",
            "CreationClassName": "AMT_SetupAndConfigurationService",
            "ElementName": "Intel(r) AMT Setup and Configuration Service",
            "EnabledState": "5",
            "Name": "Intel(r) AMT Setup and Configuration Service",
            "PasswordModel": "1",
            "ProvisioningMode": "1",
            "ProvisioningServerOTP": "",
            "ProvisioningState": _state(memory),
            "RequestedState": "12",
            "SystemCreationClassName": "CIM_ComputerSystem",
            "SystemName": "Intel(r) AMT",
            "ZeroTouchConfigurationEnabled": "true",
        }
    ],
    "CIM_SoftwareIdentity": lambda memory: [
        {"InstanceID": name, "IsEntity": "true", "VersionString": version}
        for name, version in (
            ("Flash", memory.firmware),
            ("AMT", memory.firmware.rpartition(".")[0]),
            ("Build Number", memory.firmware.rpartition(".")[2]),
            ("AMTApps", memory.firmware.rpartition(".")[0]),
        )
    ],
    "CIM_ComputerSystemPackage": lambda memory: [{"PlatformGUID": memory.uuid.replace("-", "").upper()}],
    "IPS_HostBasedSetupService": lambda memory: [
        {
            "AllowedControlModes": "2",
            "CertChainStatus": "0",
            "CurrentControlMode": "2" if memory.committed else "0",
            "ElementName": "Intel(r) AMT Host Based Setup Service",
        }
    ],
    "AMT_EthernetPortSettings": lambda _memory: [
        {
            "DHCPEnabled": "true",
            "ElementName": "Intel(r) AMT Ethernet Port Settings",
            "InstanceID": "Intel(r) AMT Ethernet Port Settings 0",
            "IpSyncEnabled": "true",
            "LinkIsUp": "true",
            "SharedMAC": "true",
        }
    ],
    "AMT_TLSSettingData": lambda _memory: [
        {
            "AcceptNonSecureConnections": "false",
            "ElementName": f"Intel(r) AMT {name}TLS Settings",
            "Enabled": "true",
            "InstanceID": f"Intel(r) AMT {name}TLS Settings",
            "MutualAuthentication": "false",
        }
        for name in ("802.3 ", "LMS ")
    ],
    "AMT_PublicPrivateKeyPair": lambda memory: (
        [
            {
                "DERKey": base64.b64encode(memory.public_key).decode("ascii"),
                "ElementName": "Intel(r) AMT Key",
                "InstanceID": "Intel(r) AMT Key: Handle: 0",
            }
        ]
        if memory.has_key
        else []
    ),
    "AMT_PublicKeyCertificate": lambda memory: [
        {
            "ElementName": "Intel(r) AMT Certificate",
            "InstanceID": _handle(number),
            "TrustedRootCertficate": "false",  # Intel's spelling
            "X509Certificate": blob,
        }
        for number, blob in enumerate(memory.certificates)
    ],
    "AMT_TLSCredentialContext": lambda _memory: [],
    "AMT_TimeSynchronizationService": lambda _memory: [
        {"ElementName": "Intel(r) AMT Time Synchronization Service", "EnabledState": "5"}
    ],
}
"""What `Get` and `Enumerate` return; a class that is not here is a fault to `Get`, and nothing to `Pull`."""


def guard(password: str | None) -> Guard:
    """The administrator's account of a new device."""
    return Guard(USER, REALM, password)
