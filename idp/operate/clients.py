"""Clients as operators manage them: add, change their secret, remove.

The rules on redirect URIs are those of RFC 9700 section 2.1 and RFC 8252: https, or loopback,
or an app's private scheme for native clients; never a wildcard.
"""

import hashlib
import secrets
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from idp import events
from idp.errors import NotFound
from idp.model import Client
from idp.oidc.client import LOOPBACK
from idp.oidc.client_auth import METHODS
from idp.oidc.keys import ALGORITHMS
from idp.oidc.server import GRANT_TYPES
from idp.operate.users import Refused
from idp.ports import Clients, Clock

SECRET_METHODS = ("client_secret_basic", "client_secret_post")


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

    def change(self, client: Client, *, actor: str) -> Client:
        """In place of the record with its id. Raises Refused, NotFound."""
        check(client, self.acrs)
        self.clients.save(client)
        self._changed(client, "changed", actor)
        return client

    def rotate_secret(self, client_id: str, *, actor: str) -> Registered:
        """A new secret; the old one stops working at once."""
        client = self.get(client_id)
        if client.token_endpoint_auth_method not in SECRET_METHODS:
            raise Refused(f"{client_id!r} authenticates by {client.token_endpoint_auth_method}")
        secret = new_secret()
        client = replace(client, secret_hash=secret_hash(secret))
        self.clients.save(client)
        self._changed(client, "secret rotated", actor)
        return Registered(client, secret)

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


def new_secret() -> str:
    """256 bits and ours, so SHA-256 at rest is enough."""
    return secrets.token_urlsafe(32)


def secret_hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def check(client: Client, acrs: tuple[str, ...]) -> None:
    """Raises Refused for a record that could not work or would not be safe."""
    identifier = client.client_id
    if not identifier or len(identifier) > 128 or not identifier.isprintable():
        raise Refused("a client_id has 1 to 128 printable characters")
    if identifier.startswith(("https://", "http://")):
        raise Refused("a client_id that we make is not a URL")
    _one_of("token_endpoint_auth_method", client.token_endpoint_auth_method, METHODS)
    _one_of("application_type", client.application_type, ("web", "native"))
    _one_of("id_token_alg", client.id_token_alg, ALGORITHMS)
    _one_of("access_token_alg", client.access_token_alg or ALGORITHMS[0], ALGORITHMS)
    for grant_type in client.grant_types:
        _one_of("grant_types", grant_type, GRANT_TYPES)
    if client.require_acr is not None:
        _one_of("require_acr", client.require_acr, acrs)
    if client.public and "client_credentials" in client.grant_types:
        raise Refused("a public client cannot use client_credentials: it proves nothing")
    if "authorization_code" in client.grant_types and not client.redirect_uris:
        raise Refused("a client of the code flow needs a redirect URI")
    if client.token_endpoint_auth_method == "private_key_jwt" and not (
        client.jwks or client.jwks_uri
    ):
        raise Refused("private_key_jwt needs jwks or jwks_uri")
    for name in ("policy_uri", "tos_uri", "jwks_uri"):
        uri = getattr(client, name)
        if uri is not None and not uri.startswith(("https://", "http://")):
            raise Refused(f"{name}: {uri!r} is not an https address")
    for uri in (*client.redirect_uris, *client.post_logout_redirect_uris):
        check_redirect_uri(uri, native=client.application_type == "native")


def check_redirect_uri(uri: str, *, native: bool) -> None:
    parts = urlsplit(uri)
    if not uri.isascii() or any(c.isspace() or c in '\\"<>' for c in uri) or len(uri) > 2048:
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
