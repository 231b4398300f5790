"""The authorization request: one rule per parameter, in the order they are judged.

Until client and redirect URI are verified an error is a page (PageError); after that it goes
back to the client (AuthorizeError) with `state` and `iss` (RFC 6749 4.1.2.1, RFC 9207).
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from idp.endpoint import Parameters
from idp.errors import OAuthError, PageError
from idp.factors.base import N_
from idp.model import AuthorizationRequest, Client
from idp.oidc.client import redirect_allowed
from idp.oidc.first_party import ACCOUNT
from idp.oidc.tokens import Tokens
from idp.oidc.verify import InvalidJws
from idp.ports import Clients

PROMPTS = frozenset({"none", "login", "consent", "select_account"})
RESPONSE_MODES = ("query", "form_post")
REPEATABLE = frozenset({"resource"})
MAX_LENGTH = 2048
MAX_CLAIMS = 4096
LIMITS = {"claims": MAX_CLAIMS, "id_token_hint": 2 * MAX_CLAIMS, "nonce": 1024, "login_hint": 256}
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_DIGITS = re.compile(r"[0-9]{1,9}")
ASK_DEVELOPER = N_("Go back to the application and tell its makers what this page says.")


class AuthorizeError(OAuthError):
    """An error that goes to the client's verified redirect URI."""

    def __init__(
        self,
        code: str,
        public: str,
        *,
        redirect_uri: str,
        state: str | None,
        response_mode: str,
        parameter: str = "",
        detail: str = "",
    ) -> None:
        super().__init__(code, public, detail=detail, parameter=parameter)
        self.redirect_uri = redirect_uri
        self.state = state
        self.response_mode = response_mode


class RequestRules:
    """Judges a request. It is judged again, from the same parameters, before a code is made."""

    def __init__(self, clients: Clients, tokens: Tokens, scopes: frozenset[str]) -> None:
        self._clients = clients
        self._tokens = tokens
        self._scopes = scopes

    def validate(self, parameters: Parameters) -> tuple[AuthorizationRequest, Client]:
        client = self._client(parameters)
        redirect_uri = _redirect_uri(parameters, client)
        try:
            return self._rest(parameters, client, redirect_uri), client
        except OAuthError as error:
            mode = "".join(parameters.get("response_mode", ()))
            states = parameters.get("state", ())
            raise AuthorizeError(
                error.code,
                error.public,
                redirect_uri=redirect_uri,
                state=states[0] if len(states) == 1 and len(states[0]) <= MAX_LENGTH else None,
                response_mode=mode if mode in RESPONSE_MODES else "query",
                parameter=error.parameter,
                detail=error.detail,
            ) from None

    def _client(self, parameters: Parameters) -> Client:
        given = parameters.get("client_id", ())
        if len(given) != 1:
            raise _page("client_id", N_("The application did not say which one it is."))
        client = self._clients.get(given[0])
        if client is None or client.disabled_at is not None:
            raise _page(
                "client_id", N_("This application is not known here."), code="invalid_client"
            )
        return client

    def _rest(
        self, parameters: Parameters, client: Client, redirect_uri: str
    ) -> AuthorizationRequest:
        values = _single(parameters)
        _refuse_objects(values)
        _response_type(values, client)
        response_mode = _response_mode(values)
        claims = _claims(values)
        prompts = _prompts(values)
        essential, voluntary = _requested_acr(claims)
        return AuthorizationRequest(
            client_id=client.client_id,
            redirect_uri=redirect_uri,
            response_mode=response_mode,
            scopes=self._scope(values, client),
            resources=resources(parameters.get("resource", ()), client.resources),
            state=values.get("state"),
            nonce=values.get("nonce"),
            code_challenge=_code_challenge(values, client),
            prompts=prompts,
            max_age=_max_age(values),
            login_hint=values.get("login_hint"),
            hint_sub=_one_subject(self._hint(values), claims),
            ui_locales=tuple(values.get("ui_locales", "").split()),
            acr_values=(*values.get("acr_values", "").split(), *voluntary),
            essential_acr=essential,
            claims=claims,
            parameters=parameters,
            response_type=values["response_type"],
        )

    def _scope(self, values: Mapping[str, str], client: Client) -> tuple[str, ...]:
        """Unknown scopes are ignored (OIDC Core 3.1.2.1); nothing left of some is an error."""
        asked = tuple(dict.fromkeys(values.get("scope", "").split()))
        allowed = tuple(s for s in asked if s in client.scopes)
        if asked and not allowed:
            raise OAuthError(
                "invalid_scope", "This client may not ask for that scope.", parameter="scope"
            )
        if "openid" not in allowed:
            allowed = tuple(s for s in allowed if s not in self._scopes or s == "offline_access")
        return allowed

    def _hint(self, values: Mapping[str, str]) -> str | None:
        if "id_token_hint" not in values:
            return None
        try:
            return str(self._tokens.verify_id_token_hint(values["id_token_hint"])["sub"])
        except (InvalidJws, KeyError) as problem:
            raise OAuthError(
                "invalid_request",
                "id_token_hint is not an ID token of this provider.",
                parameter="id_token_hint",
                detail=str(problem),
            ) from None


def resources(asked: tuple[str, ...], allowed: tuple[str, ...]) -> tuple[str, ...]:
    """RFC 8707 section 2: absolute URIs without fragment that this client may ask for.

    Compared with scheme and host in lower case; answered in the registered spelling.
    """
    known = {_canonical(uri): uri for uri in allowed}
    found = []
    for uri in asked:
        match = known.get(_canonical(uri))
        if match is None or "#" in uri:
            raise OAuthError(
                "invalid_target",
                "The client may not ask for tokens for this resource.",
                parameter="resource",
            )
        found.append(match)
    return tuple(dict.fromkeys(found))


def _canonical(uri: str) -> str:
    scheme, separator, rest = uri.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme.lower()}{separator}{host.lower()}{slash}{path}"


def _page(parameter: str, public: str, code: str = "invalid_request") -> PageError:
    return PageError(code, public, action=ASK_DEVELOPER, parameter=parameter)


def _redirect_uri(parameters: Parameters, client: Client) -> str:
    given = parameters.get("redirect_uri", ())
    if len(given) != 1:
        raise _page("redirect_uri", N_("The application did not say where to return to."))
    if not redirect_allowed(client, given[0]):
        raise _page(
            "redirect_uri",
            N_("The application asked to return to an address that it has not registered."),
        )
    return given[0]


def _single(parameters: Parameters) -> Mapping[str, str]:
    values: dict[str, str] = {}
    for name, given in parameters.items():
        if len(given) > 1 and name not in REPEATABLE:
            raise OAuthError(
                "invalid_request", "A parameter is repeated.", parameter=name[:64], detail=name[:64]
            )
        if len(given[0]) > LIMITS.get(name, MAX_LENGTH):
            raise OAuthError("invalid_request", "A parameter is too long.", parameter=name[:64])
        if "\0" in given[0]:
            raise OAuthError("invalid_request", "A parameter holds NUL.", parameter=name[:64])
        values[name] = given[0]
    return values


def _refuse_objects(values: Mapping[str, str]) -> None:
    """OIDC Core 6 and 7.2.1: say plainly what is not supported."""
    for name, code in (
        ("request", "request_not_supported"),
        ("request_uri", "request_uri_not_supported"),
        ("registration", "registration_not_supported"),
    ):
        if name in values:
            raise OAuthError(code, f"The parameter {name} is not supported.", parameter=name)


def _response_type(values: Mapping[str, str], client: Client) -> None:
    if "response_type" not in values:
        raise OAuthError("invalid_request", "response_type is missing.", parameter="response_type")
    if values["response_type"] == "none" and client.client_id == ACCOUNT:
        return
    if values["response_type"] != "code":
        raise OAuthError(
            "unsupported_response_type",
            "Only response_type=code is supported.",
            parameter="response_type",
        )
    if "authorization_code" not in client.grant_types:
        raise OAuthError("unauthorized_client", "This client may not use the code flow.")


def _response_mode(values: Mapping[str, str]) -> str:
    mode = values.get("response_mode", "query")
    if mode not in RESPONSE_MODES:
        raise OAuthError(
            "invalid_request",
            "response_mode must be query or form_post.",
            parameter="response_mode",
        )
    return mode


def _code_challenge(values: Mapping[str, str], client: Client) -> str | None:
    """RFC 7636 with S256 alone (RFC 9700 section 2.1.1), for every client not exempted."""
    challenge = values.get("code_challenge")
    if challenge is None:
        if client.require_pkce or "code_challenge_method" in values:
            raise OAuthError(
                "invalid_request",
                "PKCE is required: send code_challenge.",
                parameter="code_challenge",
            )
        return None
    if values.get("code_challenge_method") != "S256":
        raise OAuthError(
            "invalid_request",
            "code_challenge_method must be S256.",
            parameter="code_challenge_method",
        )
    if not _CHALLENGE.fullmatch(challenge):
        raise OAuthError(
            "invalid_request", "code_challenge is malformed.", parameter="code_challenge"
        )
    return challenge


def _prompts(values: Mapping[str, str]) -> frozenset[str]:
    prompts = frozenset(values.get("prompt", "").split())
    if not prompts <= PROMPTS or ("none" in prompts and len(prompts) > 1):
        raise OAuthError("invalid_request", "prompt has a wrong value.", parameter="prompt")
    return prompts


def _max_age(values: Mapping[str, str]) -> int | None:
    given = values.get("max_age")
    if given is None:
        return None
    if not _DIGITS.fullmatch(given):
        raise OAuthError(
            "invalid_request", "max_age must be a number of seconds.", parameter="max_age"
        )
    return int(given)


def _claims(values: Mapping[str, str]) -> Mapping[str, Any]:
    """OIDC Core 5.5: a JSON object with `userinfo` and `id_token`; other members are ignored."""
    if "claims" not in values:
        return {}
    wrong = OAuthError("invalid_request", "claims is malformed.", parameter="claims")
    if len(values["claims"]) > MAX_CLAIMS:
        raise wrong
    try:
        found = json.loads(values["claims"])
    except (ValueError, RecursionError):
        raise wrong from None
    if not isinstance(found, dict):
        raise wrong
    kept: dict[str, Any] = {}
    for where in ("userinfo", "id_token"):
        member = found.get(where, {})
        if member is None:
            continue
        if not isinstance(member, dict) or not all(
            value is None or isinstance(value, dict) for value in member.values()
        ):
            raise wrong
        kept[where] = member
    return kept


def _requested_acr(claims: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Essential and voluntary acr values of `claims.id_token.acr` (OIDC Core 5.5.1.1)."""
    wish = claims.get("id_token", {}).get("acr") or {}
    values = wish.get("values", [wish["value"]] if "value" in wish else [])
    if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
        raise OAuthError("invalid_request", "claims is malformed.", parameter="claims")
    return (tuple(values), ()) if wish.get("essential") is True else ((), tuple(values))


def _one_subject(hinted: str | None, claims: Mapping[str, Any]) -> str | None:
    """The only user that may be answered for: the hint's, or that of `claims.id_token.sub`
    (OIDC Core 3.1.2.2)."""
    wanted = (claims.get("id_token", {}).get("sub") or {}).get("value")
    if wanted is None:
        return hinted
    if not isinstance(wanted, str) or hinted not in (None, wanted):
        raise OAuthError("invalid_request", "claims is malformed.", parameter="claims")
    return wanted
