"""The people and clients of development mode. Their secrets are made anew at every start."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pyotp

from idp.factors.admin import AuthenticatorAdmin
from idp.model import Client, Message, User
from idp.oidc.claims import SCOPES
from idp.oidc.keys import generate
from idp.operate.clients import ClientAdmin
from idp.operate.users import UserAdmin

OIDC = tuple(SCOPES)
STANDARD_CLAIMS: Mapping[str, Any] = {
    "name": "Cyd Doe",
    "given_name": "Cyd",
    "family_name": "Doe",
    "middle_name": "Robin",
    "nickname": "cy",
    "profile": "https://example.com/cyd",
    "picture": "https://example.com/cyd.png",
    "website": "https://example.com",
    "gender": "unspecified",
    "birthdate": "1990-02-28",
    "zoneinfo": "Europe/Berlin",
    "address": {
        "formatted": "Am Platz 1\n10117 Berlin\nGermany",
        "street_address": "Am Platz 1",
        "locality": "Berlin",
        "region": "Berlin",
        "postal_code": "10117",
        "country": "Germany",
    },
}


@dataclass(frozen=True, slots=True)
class Person:
    username: str
    given_name: str
    second: str = ""  # the factor that is enrolled, where the policy uses it
    require_acr: str | None = None
    claims: Mapping[str, Any] = field(default_factory=dict)


PEOPLE = (
    Person("ana", "Ana", "totp", require_acr="aal2"),
    Person("amy", "Amy", "totp"),
    Person("ben", "Ben"),
    Person("cyd", "Cyd", claims=STANDARD_CLAIMS),
    Person("cho", "Cho", "sms", require_acr="aal2"),
    Person("dia", "Dia", require_acr="aal2"),  # nothing to prove it with: the sign-in enrolls it
    Person("eli", "Eli", "recovery_code"),
)


def people(admin: UserAdmin, authenticators: AuthenticatorAdmin) -> list[dict[str, Any]]:
    """Add the users; what `idp dev --json` says of each."""
    return [
        _person(admin, authenticators, person, number) for number, person in enumerate(PEOPLE, 1)
    ]


def _person(
    admin: UserAdmin, authenticators: AuthenticatorAdmin, person: Person, number: int
) -> dict[str, Any]:
    password = f"{person.username}-{secrets.token_urlsafe(9)}"
    user = admin.add(
        person.username,
        password=password,
        actor="dev",
        email=f"{person.username}@example.com",
        email_verified=True,
        phone=f"+49151230000{number:02}",
        phone_verified=True,
        require_acr=person.require_acr if person.require_acr in admin.acrs else None,
        locale="en",
        claims=person.claims
        or {"name": f"{person.given_name} Example", "given_name": person.given_name},
    )
    second = person.second if person.second in admin.factors else ""
    if second == "sms":
        _sms(authenticators, user)
    return {
        "username": user.username,
        "password": password,
        "sub": user.id,
        "email": user.email,
        "phone": user.phone,
        "methods": ["password", *([second] if second else [])],
        "totp_secret": _totp(authenticators, user) if second == "totp" else None,
        "recovery_codes": list(authenticators.issue_codes(user.id, actor="dev"))
        if second == "recovery_code"
        else None,
    }


def _totp(authenticators: AuthenticatorAdmin, user: User) -> str:
    """Enrolled with a code of long ago, so that today's codes are all unused."""
    past = authenticators.clock() - timedelta(days=1)
    earlier = replace(authenticators, clock=lambda: past)
    seed = str(earlier.begin(user.id, "totp", by_operator=True).public["secret"])
    earlier.confirm(user.id, "totp", {"code": pyotp.TOTP(seed).at(past)}, actor="dev")
    return seed


class _Caught:
    """In place of the courier: keeps the message that carries a code."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def delivers(self, kind: str) -> bool:
        return True

    def send(self, message: Message, user: User | None, address: str = "") -> str:
        self.messages.append(message)
        return ""

    def verified(self, receipt: str) -> None:
        """Nobody counts these."""


def _sms(authenticators: AuthenticatorAdmin, user: User) -> None:
    """The person's own number, confirmed by the code that would have gone out."""
    caught = _Caught()
    own = replace(authenticators, carrier=caught)
    asked = own.begin(user.id, "sms", by_operator=True)
    if not caught.messages:
        own.confirm(user.id, "sms", {asked.form.fields[0].name: user.phone or ""}, actor="dev")
    own.confirm(user.id, "sms", {"code": caught.messages[-1].values["code"]}, actor="dev")


def clients(admin: ClientAdmin, relying_party: str, issuer: str) -> list[dict[str, Any]]:
    """Add the clients; what `idp dev --json` says of each."""
    now = admin.clock()
    web = Client(
        client_id="web",
        name="Demo relying party",
        created_at=now,
        redirect_uris=(f"{relying_party}/callback", "https://localhost:8001/callback"),
        post_logout_redirect_uris=(relying_party, f"{relying_party}/"),
        grant_types=("authorization_code", "refresh_token"),
        scopes=OIDC,
        resources=("https://api.example.com",),
        require_consent=False,
    )
    found = (
        web,
        Client(
            client_id="web-post",
            name="Partner application",
            created_at=now,
            redirect_uris=web.redirect_uris,
            post_logout_redirect_uris=web.post_logout_redirect_uris,
            grant_types=web.grant_types,
            scopes=OIDC,
            token_endpoint_auth_method="client_secret_post",
        ),
        Client(
            client_id="native",
            name="Native application",
            created_at=now,
            redirect_uris=("http://127.0.0.1/callback", "http://localhost/callback"),
            post_logout_redirect_uris=("http://127.0.0.1/",),
            grant_types=("authorization_code", "refresh_token"),
            scopes=OIDC,
            token_endpoint_auth_method="none",
            application_type="native",
        ),
        Client(
            client_id="service",
            name="Service",
            created_at=now,
            grant_types=("client_credentials",),
            scopes=("api:read", "api:write"),
            resources=("https://api.example.com",),
        ),
        _administrator(issuer, now),
    )
    return [*(_client(admin, client) for client in found), _assertion_client(admin, now)]


def _administrator(issuer: str, now: datetime) -> Client:
    """A program of the operator's: every scope of the admin API."""
    return Client(
        client_id="admin",
        name="Administration",
        created_at=now,
        grant_types=("client_credentials",),
        scopes=tuple(
            f"admin:{what}:{how}"
            for what in ("users", "authenticators", "clients")
            for how in ("read", "write")
        ),
        resources=(f"{issuer}/admin/v1",),
    )


def _assertion_client(admin: ClientAdmin, now: datetime) -> dict[str, Any]:
    """A service that signs its own assertions; its private key is in the description alone."""
    private = json.loads(generate("ES256", now, now).private)
    public = {name: value for name, value in private.items() if name != "d"}
    client = Client(
        client_id="service-jwt",
        name="Service with a key",
        created_at=now,
        grant_types=("client_credentials",),
        scopes=("api:read",),
        resources=("https://api.example.com",),
        token_endpoint_auth_method="private_key_jwt",
        jwks={"keys": [public]},
    )
    return {**_client(admin, client), "private_jwk": private}


def _client(admin: ClientAdmin, client: Client) -> dict[str, Any]:
    registered = admin.add(client, actor="dev")
    return {
        "client_id": client.client_id,
        "client_secret": registered.secret,
        "redirect_uris": list(client.redirect_uris),
        "post_logout_redirect_uris": list(client.post_logout_redirect_uris),
        "token_endpoint_auth_method": client.token_endpoint_auth_method,
        "scope": " ".join(client.scopes),
        "resources": list(client.resources),
    }
