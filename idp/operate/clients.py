"""Clients as operators manage them: add, change, rotate their secret, remove.

The rules on redirect URIs are those of RFC 9700 section 2.1 and RFC 8252: https, or loopback,
or an app's private scheme for native clients; never a wildcard.
"""

import hashlib
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from idp import events
from idp.errors import NotFound
from idp.model import Client
from idp.oidc.claims import SCOPES
from idp.oidc.client import LOOPBACK
from idp.oidc.client_auth import METHODS
from idp.oidc.keys import ALGORITHMS
from idp.oidc.server import GRANT_TYPES
from idp.operate.users import Refused
from idp.ports import Clients, Clock

SECRET_METHODS = ("client_secret_basic", "client_secret_post")
SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,256}")  # RFC 6749 section 3.3: one word
LONGEST_URI = 2048
WEB = ("https://", "http://")
ADDRESSES = {
    "policy_uri": WEB,
    "tos_uri": WEB,
    "jwks_uri": WEB,
    "logo_uri": (*WEB, "data:image/"),
}
PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})  # RFC 7518 section 6


@dataclass(frozen=True, slots=True)
class Registered:
    """A client, and its secret the one time that it can be shown."""

    client: Client
    secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class ClientAdmin:
    clients: Clients
    bus: events.Bus
    clock: Clock
    acrs: tuple[str, ...]

    def add(self, client: Client, *, actor: str) -> Registered:
        """Raises Refused with what would be accepted, Conflict for a taken id."""
        check(client, self.acrs)
        secret = None
        if client.token_endpoint_auth_method in SECRET_METHODS:
            secret = new_secret()
            client = replace(client, secret_hash=secret_hash(secret))
        self.clients.add(client)
        self._changed(client, "added", actor)
        return Registered(client, secret)

    def get(self, client_id: str) -> Client:
        found = self.clients.get(client_id)
        if found is None:
            raise NotFound(f"no client {client_id!r}; `idp client list` shows them")
        return found

    def change(
        self,
        client_id: str,
        how: Callable[[Client], Client],
        *,
        actor: str,
        change: str = "changed",
    ) -> Client:
        """What `how` makes of the record as it is, written if it is any different. Raises Refused,
        NotFound, and what `how` raises; nothing is written then."""

        def checked(client: Client) -> Client:
            after = how(client)
            check(after, self.acrs)
            return after

        self.get(client_id)
        before, after = self.clients.change(client_id, checked)
        if after != before:
            self._changed(after, change, actor)
        return after

    def rotate_secret(
        self, client_id: str, *, actor: str, seen: Callable[[Client], None] = lambda client: None
    ) -> Registered:
        """A new secret; the old one stops working at once. `seen` is shown the record that is
        changed, and may raise."""
        secret = new_secret()

        def how(client: Client) -> Client:
            seen(client)
            if client.token_endpoint_auth_method not in SECRET_METHODS:
                raise Refused(f"{client_id!r} authenticates by {client.token_endpoint_auth_method}")
            return replace(client, secret_hash=secret_hash(secret))

        return Registered(self.change(client_id, how, actor=actor, change="secret rotated"), secret)

    def remove(self, client_id: str, *, actor: str) -> Client:
        client = self.get(client_id)
        self.clients.remove(client_id)
        self._changed(client, "removed", actor)
        return client

    def _changed(self, client: Client, change: str, actor: str) -> None:
        self.bus.emit(
            events.ClientChanged(
                at=self.clock(), client_id=client.client_id, change=change, actor=actor
            )
        )


def described(client_id: str, now: datetime, given: Mapping[str, Any]) -> Client:
    """The record of a new client: for what is not given (None), what one of its kind usually needs.
    With a redirect URI it is one of the code flow; without, it gets tokens for itself."""
    known = {name: value for name, value in given.items() if value is not None}
    people = bool(known.get("redirect_uris"))
    keys = known.get("jwks") or known.get("jwks_uri")
    native = known.get("application_type") == "native"
    usual = {
        "name": client_id,
        "grant_types": ("authorization_code", "refresh_token")
        if people
        else ("client_credentials",),
        "scopes": tuple(SCOPES) if people else (),
        "token_endpoint_auth_method": "private_key_jwt"
        if keys
        else "none"
        if native
        else "client_secret_basic",
    }
    return Client(client_id=client_id, created_at=now, **{**usual, **known})


def new_secret() -> str:
    """256 bits and ours, so SHA-256 at rest is enough."""
    return secrets.token_urlsafe(32)


def secret_hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def check(client: Client, acrs: tuple[str, ...]) -> None:
    """Raises Refused for a record that could not work or would not be safe."""
    _check_names(client)
    _check_words(client, acrs)
    if client.public and "client_credentials" in client.grant_types:
        raise Refused("a public client cannot use client_credentials: it proves nothing")
    if "authorization_code" in client.grant_types and not client.redirect_uris:
        raise Refused("a client of the code flow needs a redirect URI")
    if client.jwks is not None:
        check_jwks(client.jwks)
    elif client.token_endpoint_auth_method == "private_key_jwt" and not client.jwks_uri:
        raise Refused("private_key_jwt needs jwks or jwks_uri")
    for resource in client.resources:
        check_resource(resource)
    for name, kinds in ADDRESSES.items():
        uri = getattr(client, name)
        if uri is not None and not (uri.startswith(kinds) and len(uri) <= LONGEST_URI):
            raise Refused(f"{name}: {uri[:100]!r} is not an https address")
    for uri in (*client.redirect_uris, *client.post_logout_redirect_uris):
        check_redirect_uri(uri, native=client.application_type == "native")


def _check_names(client: Client) -> None:
    identifier = client.client_id
    if not identifier or len(identifier) > 128 or not identifier.isprintable():
        raise Refused("a client_id has 1 to 128 printable characters")
    if identifier.startswith(("https://", "http://")):
        raise Refused("a client_id that we make is not a URL")
    if "/" in identifier or identifier in {".", ".."}:
        raise Refused("a client_id is one segment of a path: no slash, not . or ..")
    if not 1 <= len(client.name) <= 256:
        raise Refused("a client's name has 1 to 256 characters")


def _check_words(client: Client, acrs: tuple[str, ...]) -> None:
    _one_of("token_endpoint_auth_method", client.token_endpoint_auth_method, METHODS)
    _one_of("application_type", client.application_type, ("web", "native"))
    _one_of("id_token_alg", client.id_token_alg, ALGORITHMS)
    _one_of("access_token_alg", client.access_token_alg or ALGORITHMS[0], ALGORITHMS)
    for grant_type in client.grant_types:
        _one_of("grant_types", grant_type, GRANT_TYPES)
    if client.require_acr is not None:
        _one_of("require_acr", client.require_acr, acrs)
    for scope in client.scopes:
        if not SCOPE.fullmatch(scope):
            raise Refused(f"{scope!r}: a scope is one word of ASCII without quotes or backslash")


def check_jwks(jwks: Mapping[str, Any]) -> None:
    """Raises Refused for what is no set of public keys; the text never holds any of it."""
    keys = jwks.get("keys")
    if not isinstance(keys, list) or not keys or not all(isinstance(key, dict) for key in keys):
        raise Refused('jwks: give {"keys": [...]}')
    if any(PRIVATE_MEMBERS & key.keys() for key in keys):
        raise Refused("jwks: there are private keys in it; give the public ones")


def check_resource(uri: str) -> None:
    """RFC 8707 section 2: an absolute URI without fragment."""
    legible = uri.isascii() and uri.isprintable() and not any(c in ' \\"<>#' for c in uri)
    scheme, separator, rest = uri.partition(":")
    if not (legible and scheme and separator and rest) or len(uri) > LONGEST_URI:
        raise Refused(f"{uri!r}: a resource is an absolute URI without fragment")


def check_redirect_uri(uri: str, *, native: bool) -> None:
    parts = urlsplit(uri)
    if not uri.isascii() or any(c.isspace() or c in '\\"<>' for c in uri) or len(uri) > LONGEST_URI:
        raise Refused(f"{uri!r}: a redirect URI is plain ASCII without spaces")
    if not parts.scheme or "#" in uri or "*" in uri or parts.username is not None:
        raise Refused(f"{uri!r}: give an absolute URI without fragment, user or wildcard")
    if parts.scheme == "https" and parts.hostname:
        return
    host = "[::1]" if parts.hostname == "::1" else parts.hostname
    if parts.scheme == "http" and host in LOOPBACK:
        return
    if native and "." in parts.scheme:
        return
    raise Refused(
        f"{uri!r}: use https; http is for loopback (127.0.0.1, [::1], localhost), and a native "
        "app's own scheme is a reversed domain name such as com.example.app"
    )


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise Refused(f"{name}: {value!r} is not one of {', '.join(allowed)}")
