"""What every grant answers: an access token, and a refresh token and ID token where due.

A token needs a `Cleared`, and only the guard makes one: no grant can forget to ask it.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from idp import events
from idp.errors import OAuthError
from idp.model import Client, Code, Grant, RefreshToken, User
from idp.oidc.authorize import resources as allowed_resources
from idp.oidc.claims import requested, user_claims
from idp.oidc.guard import Cleared, Guard
from idp.oidc.tokens import Tokens
from idp.ports import Clock, Grants

REFRESH_LABEL = b"refresh token successor\0"


@dataclass(frozen=True, slots=True)
class MintSettings:
    refresh_token_ttl: timedelta
    refresh_grace: timedelta


class Mint:
    def __init__(
        self,
        grants: Grants,
        guard: Guard,
        tokens: Tokens,
        refresh_key: bytes,
        settings: MintSettings,
        issuer: str,
        bus: events.Bus,
        clock: Clock,
    ) -> None:
        self.grants = grants
        self.clock = clock
        self.bus = bus
        self._guard = guard
        self._tokens = tokens
        self._refresh_key = refresh_key
        self._settings = settings
        self._issuer = issuer

    def for_client(
        self, client: Client, scopes: tuple[str, ...], asked: tuple[str, ...]
    ) -> Mapping[str, Any]:
        """RFC 6749 section 4.4.3: no refresh token, no ID token."""
        now = self.clock()
        cleared = self._guard.may_receive_tokens(client, None)
        audience = allowed_resources(asked, client.resources)
        issued = self._tokens.access_token(cleared, scopes=scopes, resources=audience, now=now)
        self._issued("client_credentials", client, issued.subject, scopes, issued.jti, now)
        return _answer(issued.token, issued.expires_in, scopes)

    def for_grant(
        self,
        grant_type: str,
        cleared: Cleared,
        grant: Grant,
        *,
        scopes: tuple[str, ...],
        audience: tuple[str, ...],
        nonce: str | None,
        refresh: str | None,
    ) -> Mapping[str, Any]:
        """Tokens under a grant; `refresh` is the refresh token to hand out, made and stored."""
        now, client = self.clock(), cleared.client
        issued = self._tokens.access_token(cleared, scopes=scopes, resources=audience, now=now)
        answer = _answer(issued.token, issued.expires_in, scopes)
        if refresh is not None:
            answer["refresh_token"] = refresh
        if "openid" in scopes and cleared.user is not None:
            answer["id_token"] = self._tokens.id_token(
                cleared,
                grant,
                nonce=nonce,
                access_token=issued.token,
                extra=_id_token_claims(cleared.user, grant),
                now=now,
            )
        self._issued(grant_type, client, issued.subject, scopes, issued.jti, now)
        return answer

    def clear(self, client: Client, grant: Grant) -> Cleared:
        """Pass the guard; refuse before a refresh token is used up."""
        return self._guard.may_receive_tokens(client, grant)

    def first_refresh(self, client: Client, grant: Grant) -> tuple[str, RefreshToken] | None:
        """A new family, if this client may refresh; not stored yet. Its lifetime is absolute."""
        if "refresh_token" not in client.grant_types:
            return None
        now = self.clock()
        token = secrets.token_urlsafe(32)
        record = RefreshToken(
            hash=token_hash(token),
            grant_id=grant.id,
            client_id=client.client_id,
            issued_at=now,
            expires_at=now + self._settings.refresh_token_ttl,
        )
        return token, record

    def rotate(self, presented: str, record: RefreshToken) -> str | None:
        """The one successor of a refresh token; None when it was used before the grace.

        The successor is a keyed hash of its predecessor: a client that lost the answer gets the
        same one again, from any process, and there is never a second lineage.
        """
        now = self.clock()
        digest = hmac.new(self._refresh_key, REFRESH_LABEL + presented.encode(), hashlib.sha256)
        token = _urlsafe(digest.digest())
        successor = RefreshToken(
            hash=token_hash(token),
            grant_id=record.grant_id,
            client_id=record.client_id,
            issued_at=now,
            expires_at=record.expires_at,
        )
        rotated = self.grants.rotate_refresh(
            record.hash, successor, now, self._settings.refresh_grace
        )
        return token if rotated else None

    def audience(
        self, grant: Grant, scopes: tuple[str, ...], asked: tuple[str, ...]
    ) -> tuple[str, ...]:
        """RFC 8707 section 2.2: a subset of what was granted, all of it when nothing is named.
        A token that also opens userinfo names the provider too."""
        audience = allowed_resources(asked, grant.resources) if asked else grant.resources
        if "openid" in scopes and audience:
            return (*audience, self._issuer)
        return audience

    def _issued(
        self,
        grant_type: str,
        client: Client,
        subject: str,
        scopes: tuple[str, ...],
        jti: str,
        now: datetime,
    ) -> None:
        self.bus.emit(
            events.TokenIssued(
                at=now,
                grant_type=grant_type,
                client_id=client.client_id,
                subject=subject,
                scopes=scopes,
                jti=jti,
            )
        )


def replayed(mint: Mint, code: Code) -> OAuthError:
    """RFC 6749 section 4.1.2: a code used twice revokes what its first use gave."""
    now = mint.clock()
    mint.grants.revoke(code.grant_id, now, "code replayed")
    mint.bus.emit(events.CodeReplayed(at=now, client_id=code.client_id, grant_id=code.grant_id))
    return OAuthError("invalid_grant", "The code was used before.", detail="code replayed")


def token_hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


def _urlsafe(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _id_token_claims(user: User, grant: Grant) -> Mapping[str, Any]:
    return user_claims(user, (), requested(grant.claims, "id_token"))


def _answer(token: str, expires_in: int, scopes: tuple[str, ...]) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "access_token": token,
        "token_type": "Bearer",
        "expires_in": expires_in,
    }
    if scopes:
        answer["scope"] = " ".join(scopes)
    return answer
