"""Records with every field filled, so that one which does not come back is noticed."""

from datetime import UTC, datetime, timedelta
from hashlib import sha256

from idp.model import (
    Achieved,
    AuditRow,
    Authenticator,
    Client,
    Code,
    Consent,
    Grant,
    RefreshToken,
    Session,
    SigningKey,
    User,
)

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
GRACE = 30 * SECOND
MICROSECOND = timedelta(microseconds=1)


def digest(text: str) -> bytes:
    return sha256(text.encode()).digest()


USER = User(
    id="user-1",
    username="Käthe",
    created_at=NOW - MINUTE,
    updated_at=NOW,
    email="k@example.com",
    email_verified=True,
    phone="+4912345",
    phone_verified=True,
    require_acr="aal2",
    locale="de-AT",
    claims={"given_name": "Käthe", "address": {"country": "AT"}},
    disabled_at=NOW + MINUTE,
    enroll_by=NOW + 2 * MINUTE,
)
PLAIN_USER = User(id="user-2", username="bob", created_at=NOW, updated_at=NOW)
CLIENT = Client(
    client_id="client-1",
    name="Payroll",
    created_at=NOW,
    secret_hash=digest("secret"),
    redirect_uris=("https://rp.example/cb", "https://rp.example/cb2"),
    post_logout_redirect_uris=("https://rp.example/bye",),
    grant_types=("authorization_code", "refresh_token"),
    scopes=("openid", "email"),
    resources=("https://api.example",),
    token_endpoint_auth_method="private_key_jwt",
    jwks={"keys": [{"kty": "EC"}]},
    jwks_uri="https://rp.example/jwks",
    application_type="native",
    id_token_alg="ES256",
    access_token_alg="Ed25519",
    require_acr="aal2",
    require_pkce=False,
    require_consent=False,
    logo_uri="https://rp.example/logo",
    policy_uri="https://rp.example/policy",
    tos_uri="https://rp.example/tos",
    disabled_at=NOW,
)
PLAIN_CLIENT = Client("client-2", "Plain", NOW)
AUTHENTICATOR = Authenticator(
    id="authenticator-1",
    user_id=PLAIN_USER.id,
    factor="totp",
    created_at=NOW,
    secret=b"JBSWY3DPEHPK3PXP\x00\xff",
    data={"last_step": 7},
    name="phone",
    last_used_at=NOW + SECOND,
    disabled_at=NOW + MINUTE,
)
PASSWORD = Achieved("password", ("pwd",), NOW - MINUTE, "a-1")
TOTP = Achieved("totp", ("otp", "mfa"), NOW, "a-2")
SESSION = Session(
    id="session-1",
    user_id=PLAIN_USER.id,
    created_at=NOW,
    last_seen_at=NOW + SECOND,
    rotated_at=NOW + 2 * SECOND,
    expires_at=NOW + 60 * MINUTE,
    achieved=(PASSWORD, TOTP),
    ip="2001:db8::1",
    user_agent="Firefox",
)
GRANT = Grant(
    id="grant-1",
    client_id="client-1",
    user_id=PLAIN_USER.id,
    session_id=SESSION.id,
    scopes=("openid", "email"),
    resources=("https://api.example",),
    acr="aal1",
    amr=("pwd", "otp"),
    auth_time=NOW - SECOND,
    created_at=NOW,
    claims={"id_token": {"email": None}},
)
CODE = Code(
    hash=digest("code"),
    grant_id=GRANT.id,
    client_id=GRANT.client_id,
    redirect_uri="https://rp.example/cb",
    code_challenge="challenge",
    nonce="nonce",
    expires_at=NOW + MINUTE,
)
REFRESH = RefreshToken(
    hash=digest("refresh"),
    grant_id=GRANT.id,
    client_id=GRANT.client_id,
    issued_at=NOW,
    expires_at=NOW + 60 * MINUTE,
)
SUCCESSOR = RefreshToken(
    hash=digest("successor"),
    grant_id=GRANT.id,
    client_id=GRANT.client_id,
    issued_at=NOW + SECOND,
    expires_at=NOW + 60 * MINUTE,
)
CONSENT = Consent(
    "user-1", "client-1", frozenset({"openid", "email"}), frozenset({"https://a"}), NOW
)
KEY = SigningKey("kid-1", "ES256", b'{"d":"private-key-material"}', NOW, NOW)
AUDIT = AuditRow(
    at=NOW,
    event="FactorRejected",
    interaction="i-1",
    support_code="ABCD-EFGH",
    user_id="user-1",
    client_id="client-1",
    detail={"factor": "totp", "reason": "wrong \x00"},
)
