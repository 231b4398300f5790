"""Client authentication: basic, post, none (RFC 6749 section 2.3), private_key_jwt (RFC 7523
with the audience rule of rfc7523bis). One method per request, and only the registered one.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import unquote_plus

from idp.endpoint import Request
from idp.errors import InvalidClient, OAuthError
from idp.model import Client
from idp.oidc.verify import InvalidJws, Verified, verify_jws
from idp.ports import Clients, Clock, Ephemeral, Fetcher

METHODS = ("client_secret_basic", "client_secret_post", "none", "private_key_jwt")
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_ALGS = ("ES256", "ES384", "RS256", "PS256", "Ed25519", "EdDSA")
ASSERTION_TYPES = (None, "JWT", "client-authentication+jwt")
MAX_ASSERTION_AGE = timedelta(minutes=5)
SKEW = timedelta(seconds=30)
_NOBODY = hashlib.sha256(b"no such client").digest()


class ClientAuth:
    def __init__(
        self,
        clients: Clients,
        ephemeral: Ephemeral,
        fetcher: Fetcher,
        clock: Clock,
        issuer: str,
    ) -> None:
        self._clients = clients
        self._ephemeral = ephemeral
        self._fetcher = fetcher
        self._clock = clock
        self._issuer = issuer

    def authenticate(self, request: Request, form: Mapping[str, str]) -> Client:
        """The client that made this request. Raises InvalidClient, or OAuthError for a mixture."""
        basic = request.headers.get("authorization")
        presented = [
            basic is not None,
            "client_secret" in form,
            "client_assertion" in form or "client_assertion_type" in form,
        ]
        if sum(presented) > 1:
            raise OAuthError("invalid_request", "Use one client authentication method only.")
        if basic is not None:
            client_id, secret = _basic(basic)
            if form.get("client_id", client_id) != client_id:
                raise InvalidClient("client_id differs from the Authorization header")
            client = self._by_secret(client_id, secret, "client_secret_basic")
        elif "client_secret" in form:
            client = self._by_secret(
                form.get("client_id", ""), form["client_secret"], "client_secret_post"
            )
        elif presented[2]:
            client = self._by_assertion(form)
        else:
            client = self._registered(form.get("client_id", ""), "none")
        if client.disabled_at is not None:
            raise InvalidClient("the client is disabled")
        return client

    def _by_secret(self, client_id: str, secret: str, method: str) -> Client:
        """Constant time; an unknown client costs the same comparison."""
        client = self._clients.get(client_id)
        known = client.secret_hash if client is not None and client.secret_hash else _NOBODY
        given = hashlib.sha256(secret.encode("utf-8", "replace")).digest()
        matches = hmac.compare_digest(known, given)
        if client is None:
            raise InvalidClient("unknown client")
        if client.token_endpoint_auth_method != method:
            raise InvalidClient(f"{method} is not this client's method")
        if client.secret_hash is None or not matches:
            raise InvalidClient("wrong secret")
        return client

    def _registered(self, client_id: str, method: str) -> Client:
        client = self._clients.get(client_id)
        if client is None:
            raise InvalidClient("unknown client" if client_id else "no client authentication")
        if client.token_endpoint_auth_method != method:
            raise InvalidClient(f"{method} is not this client's method")
        return client

    def _by_assertion(self, form: Mapping[str, str]) -> Client:
        """RFC 7523 section 3. The client is the assertion's `sub`; `aud` is our issuer, as one
        string; it lives five minutes at most and its `jti` works once."""
        if form.get("client_assertion_type") != ASSERTION_TYPE:
            raise InvalidClient("unknown client_assertion_type")
        assertion = form.get("client_assertion", "")
        client = self._registered(_claimed_subject(assertion), "private_key_jwt")
        if form.get("client_id", client.client_id) != client.client_id:
            raise InvalidClient("client_id differs from the assertion")
        self._check_claims(client, self._verified(client, assertion))
        return client

    def _verified(self, client: Client, assertion: str) -> Verified:
        """By the client's keys; keys behind a `jwks_uri` are read anew once, for a rotated key."""
        try:
            return verify_jws(assertion, self._keys(client), ASSERTION_ALGS)
        except InvalidJws as problem:
            if client.jwks is not None:
                raise InvalidClient(f"assertion: {problem}") from None
        try:
            return verify_jws(assertion, self._keys(client, fresh=True), ASSERTION_ALGS)
        except InvalidJws as problem:
            raise InvalidClient(f"assertion: {problem}") from None

    def _check_claims(self, client: Client, found: Verified) -> None:
        now = self._clock().timestamp()
        claims = found.payload
        if found.header.get("typ") not in ASSERTION_TYPES:
            raise InvalidClient("assertion: wrong typ")
        if claims.get("iss") != client.client_id or claims.get("sub") != client.client_id:
            raise InvalidClient("assertion: iss and sub must be the client_id")
        if claims.get("aud") != self._issuer:
            raise InvalidClient("assertion: aud must be the issuer, as one string")
        exp, jti = claims.get("exp"), claims.get("jti")
        limit = MAX_ASSERTION_AGE.total_seconds() + SKEW.total_seconds()
        if not isinstance(exp, int | float) or not now - SKEW.total_seconds() < exp <= now + limit:
            raise InvalidClient("assertion: expired, or lives too long")
        for name in ("iat", "nbf"):
            moment = claims.get(name, 0)
            if not isinstance(moment, int | float) or moment > now + SKEW.total_seconds():
                raise InvalidClient(f"assertion: {name} lies in the future")
        if not isinstance(jti, str) or not jti:
            raise InvalidClient("assertion: no jti")
        key = hashlib.sha256(f"{client.client_id}\0{jti}".encode("utf-8", "replace")).hexdigest()
        if not self._ephemeral.once(f"assertion:{key}", MAX_ASSERTION_AGE + SKEW * 2):
            raise InvalidClient("assertion: jti was used before")

    def _keys(self, client: Client, *, fresh: bool = False) -> Mapping[str, Any]:
        if client.jwks is not None:
            return client.jwks
        if client.jwks_uri is None:
            raise InvalidClient("the client has no keys")
        try:
            found = self._fetcher.get_json(client.jwks_uri, fresh=fresh)
        except Exception as problem:
            raise InvalidClient(f"jwks_uri: {problem}") from problem
        if not isinstance(found, dict):
            raise InvalidClient("jwks_uri: not a key set")
        return found


def _basic(header: str) -> tuple[str, str]:
    """RFC 6749 section 2.3.1: both parts are form-encoded before they are joined."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        raise InvalidClient("the Authorization header is not Basic")
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True).decode("utf-8")
        client_id, separator, secret = decoded.partition(":")
        if not separator:
            raise InvalidClient("the Authorization header has no colon")
        return unquote_plus(client_id, errors="strict"), unquote_plus(secret, errors="strict")
    except ValueError:  # not ASCII, not base64, not UTF-8
        raise InvalidClient("the Authorization header cannot be decoded") from None


def _claimed_subject(assertion: str) -> str:
    """The `sub` before any check: only to look up whose keys decide."""
    try:
        part = assertion.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        subject = claims["sub"]
    except (IndexError, ValueError, KeyError, TypeError, RecursionError):
        raise InvalidClient("assertion: cannot be read") from None
    return subject if isinstance(subject, str) else ""
