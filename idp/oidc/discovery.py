"""Metadata: OIDC Discovery 1.0 and RFC 8414, one document, as bytes with an ETag."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from idp.endpoint import JSON, Request, Response
from idp.flow.policy import Policy
from idp.oidc.authorize import PROMPTS, RESPONSE_MODES
from idp.oidc.claims import SCOPES, SUPPORTED
from idp.oidc.client_auth import ASSERTION_ALGS, METHODS
from idp.oidc.keys import ALGORITHMS, KeyRing
from idp.oidc.server import GRANT_TYPES

CACHE = ("Cache-Control", "public, max-age=300")


@dataclass(frozen=True, slots=True)
class Paths:
    """Where each endpoint is, below the issuer."""

    authorize: str = "/authorize"
    token: str = "/token"
    userinfo: str = "/userinfo"
    jwks: str = "/jwks"
    introspect: str = "/introspect"
    revoke: str = "/revoke"
    logout: str = "/logout"


def metadata(issuer: str, policy: Policy, paths: Paths, locales: tuple[str, ...]) -> dict[str, Any]:
    confidential = [method for method in METHODS if method != "none"]
    return {
        "issuer": issuer,
        "authorization_endpoint": issuer + paths.authorize,
        "token_endpoint": issuer + paths.token,
        "userinfo_endpoint": issuer + paths.userinfo,
        "jwks_uri": issuer + paths.jwks,
        "introspection_endpoint": issuer + paths.introspect,
        "revocation_endpoint": issuer + paths.revoke,
        "end_session_endpoint": issuer + paths.logout,
        "scopes_supported": list(SCOPES),
        "response_types_supported": ["code"],
        "response_modes_supported": list(RESPONSE_MODES),
        "grant_types_supported": list(GRANT_TYPES),
        "subject_types_supported": ["public"],
        "acr_values_supported": list(policy.acrs),
        "id_token_signing_alg_values_supported": sorted(ALGORITHMS),
        "token_endpoint_auth_methods_supported": list(METHODS),
        "token_endpoint_auth_signing_alg_values_supported": list(ASSERTION_ALGS),
        "introspection_endpoint_auth_methods_supported": confidential,
        "introspection_endpoint_auth_signing_alg_values_supported": list(ASSERTION_ALGS),
        "revocation_endpoint_auth_methods_supported": list(METHODS),
        "revocation_endpoint_auth_signing_alg_values_supported": list(ASSERTION_ALGS),
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
        "claims_supported": [*SUPPORTED, "acr", "amr", "auth_time", "sid"],
        "claim_types_supported": ["normal"],
        "claims_parameter_supported": True,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "prompt_values_supported": sorted(PROMPTS),
        "ui_locales_supported": list(locales),
    }


class Discovery:
    """Built once: the document depends on the configuration alone."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._body = json.dumps(document, separators=(",", ":")).encode()
        etag = f'"{hashlib.sha256(self._body).hexdigest()[:32]}"'
        self._answer = Response(200, (*JSON, CACHE, ("ETag", etag)), self._body)
        self._unchanged = Response(304, (CACHE, ("ETag", etag)))
        self._etag = etag

    def __call__(self, request: Request) -> Response:
        if _unchanged(request, self._etag):
            return self._unchanged
        return self._answer


class Jwks:
    """The ring's bytes (RFC 7517 section 5)."""

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring

    def __call__(self, request: Request) -> Response:
        ring = self._ring.now()
        headers = (CACHE, ("ETag", ring.etag))
        if _unchanged(request, ring.etag):
            return Response(304, headers)
        return Response(200, (*JSON, *headers), ring.body)


def _unchanged(request: Request, etag: str) -> bool:
    """RFC 9110 section 13.1.2: a list, compared weakly (a proxy that compresses weakens it)."""
    given = request.headers.get("if-none-match")
    if given is None or given == etag:
        return given is not None
    known = [tag.strip().removeprefix("W/") for tag in given.split(",")]
    return etag in known or known == ["*"]
