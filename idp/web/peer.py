"""The client certificate of a connection, in one place (DESIGN section 5).

A proxy that ends TLS names it in a header: RFC 9440's `Client-Cert`, nginx's escaped PEM, or
Envoy's `x-forwarded-client-cert`. One header is read, the configured one, and only from a
configured proxy: a certificate is public, so whoever may write this header is everybody.
"""

import re
from base64 import b64decode
from collections.abc import Mapping, Sequence
from typing import Any, Literal
from urllib.parse import unquote_to_bytes

from idp.errors import OAuthError
from idp.factors.base import N_
from idp.web.remote import Network, from_proxy

Header = Literal["", "client-cert", "x-ssl-client-cert", "x-forwarded-client-cert"]
LONGEST = 16384  # of the header; a certificate with an RSA key of 4,096 bits has 3 kB

_BYTES = re.compile(r":([A-Za-z0-9+/]+={0,2}):")  # RFC 8941 section 3.3.5; no parameters here
_ESCAPED = re.compile(r"[A-Za-z0-9%._~+/=-]+")
_PEM = re.compile(
    rb"-----BEGIN CERTIFICATE-----\r?\n([A-Za-z0-9+/=\r\n]+)-----END CERTIFICATE-----\s*"
)
_PAIR = r'([A-Za-z]+)=("(?:[^"\\]|\\.)*"|[^",;]*)'
_ELEMENT = re.compile(rf"{_PAIR}(?:;{_PAIR})*")  # one hop; a comma would begin another one's


def peer(environ: Mapping[str, Any], trusted: Sequence[Network], header: Header) -> bytes | None:
    """Its DER, or None where the connection has none or nobody may say so. Raises OAuthError for
    what cannot be one certificate: a proxy that lets strangers write the header is seen at once."""
    if not header or not from_proxy(environ, trusted):
        return None
    value = str(environ.get("HTTP_" + header.upper().replace("-", "_"), "")).strip()
    if not value:
        return None
    if len(value) > LONGEST:
        raise _unreadable(f"{header} is longer than {LONGEST} characters")
    der = _READ[header](value)
    if der is None or not _is_certificate(der):
        raise _unreadable(f"{header} is not one certificate")
    return der


def _rfc9440(value: str) -> bytes | None:
    """`:BASE64:`. Two headers arrive joined by a comma, which no certificate has."""
    found = _BYTES.fullmatch(value)
    return None if found is None else _decoded(found[1].encode())


def _escaped(value: str) -> bytes | None:
    """nginx's `$ssl_client_escaped_cert`: one PEM block, percent-encoded."""
    if not _ESCAPED.fullmatch(value):
        return None
    found = _PEM.fullmatch(unquote_to_bytes(value))
    return None if found is None else _decoded(b"".join(found[1].split()))


def _envoy(value: str) -> bytes | None:
    """`Cert` of the only element. More elements are hops before this proxy, whom nobody asked."""
    if not _ELEMENT.fullmatch(value):
        return None
    found = [text for name, text in re.findall(_PAIR, value) if name.lower() == "cert"]
    return _escaped(found[0].strip('"')) if len(found) == 1 else None


_READ = {
    "client-cert": _rfc9440,
    "x-ssl-client-cert": _escaped,
    "x-forwarded-client-cert": _envoy,
}


def _decoded(text: bytes) -> bytes | None:
    try:
        return b64decode(text, validate=True)
    except ValueError:
        return None


def _is_certificate(der: bytes) -> bool:
    from cryptography.x509 import load_der_x509_certificate

    try:
        load_der_x509_certificate(der)
    except ValueError:
        return False
    return True


def _unreadable(detail: str) -> OAuthError:
    return OAuthError(
        "invalid_request", N_("The certificate of this connection cannot be read."), detail=detail
    )
