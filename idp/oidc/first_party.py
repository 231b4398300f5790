"""The provider's own account pages as a client of the provider: they sign people in, and step them
up, by the same journey as everybody. No code is made for them: `response_type=none` (OAuth 2.0
Multiple Response Type Encoding Practices, section 4), since the session's cookie is theirs too.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from idp.errors import Conflict
from idp.model import Client
from idp.ports import Clients

ACCOUNT = "idp-account"
RETURN = "/account/return"


class WithAccount:
    """Clients, with the account pages among them; that one is in no store."""

    def __init__(self, clients: Clients, issuer: str) -> None:
        self._clients = clients
        self._account = Client(
            client_id=ACCOUNT,
            name="",
            created_at=datetime(2026, 1, 1, tzinfo=UTC),
            redirect_uris=(issuer + RETURN,),
            post_logout_redirect_uris=(issuer + "/",),
            grant_types=(),
            scopes=(),
            token_endpoint_auth_method="none",
            require_pkce=False,
            require_consent=False,
        )

    def get(self, client_id: str) -> Client | None:
        return self._account if client_id == ACCOUNT else self._clients.get(client_id)

    def add(self, client: Client) -> None:
        if client.client_id == ACCOUNT:
            raise Conflict(f"The client id {ACCOUNT!r} is taken by the account pages.")
        self._clients.add(client)

    def save(self, client: Client) -> None:
        self._clients.save(client)

    def change(self, client_id: str, how: Callable[[Client], Client]) -> tuple[Client, Client]:
        return self._clients.change(client_id, how)

    def remove(self, client_id: str) -> bool:
        return self._clients.remove(client_id)

    def list(self, *, after: str = "", limit: int = 100) -> Sequence[Client]:
        return self._clients.list(after=after, limit=limit)
