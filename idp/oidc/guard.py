"""One guard for every mint: disabled, deleted, revoked subjects receive nothing.

A token can only be signed with a `Cleared` in hand, and only this module makes one.
"""

from dataclasses import dataclass

from idp.errors import OAuthError
from idp.model import Client, Grant, User
from idp.ports import Users


@dataclass(frozen=True, slots=True)
class Cleared:
    """Proof that the subject may receive tokens now."""

    client: Client
    user: User | None
    grant: Grant | None


class Guard:
    def __init__(self, users: Users) -> None:
        self._users = users

    def may_receive_tokens(self, client: Client, grant: Grant | None) -> Cleared:
        """Reads the subject anew. Raises OAuthError `invalid_grant` when it may not."""
        if client.disabled_at is not None:
            raise OAuthError("unauthorized_client", "This client is disabled.")
        if grant is None:
            return Cleared(client, None, None)
        if grant.revoked_at is not None:
            raise _refused(f"grant revoked: {grant.revoked_because}")
        if grant.client_id != client.client_id:
            raise _refused("grant of another client")
        user = self._users.get(grant.user_id)
        if user is None or user.disabled_at is not None:
            raise _refused("user disabled or deleted")
        return Cleared(client, user, grant)


def _refused(detail: str) -> OAuthError:
    return OAuthError(
        "invalid_grant", "The grant is no longer valid. Sign in again.", detail=detail
    )
