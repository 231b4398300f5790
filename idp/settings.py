"""Every setting: type, default, unit and meaning. Frozen once read.

Sources, later ones win: the TOML file, the environment (`IDP_` and `__` between levels), files
in /run/secrets. Secrets are never read from TOML; unknown keys are refused; durations are ISO
8601. `config/idp.toml` and the reference are generated from these classes by `idp config docs`.
"""

import os
import tomllib
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_address
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from idp.errors import ConfigError
from idp.reaching import MailSettings, RecoverySettings, Registration, SmsSettings
from idp.section import Duration, Section

PREFIX = "IDP_"
SECRETS_DIR = Path("/run/secrets")
SAMPLE_SECRETS = frozenset({"changeme", "change-me", "secret", "password", "insecure", "123456"})


SigningAlg = Literal["ES256", "RS256", "Ed25519"]


class Server(Section):
    """The public listener."""

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int = Field(default=8000, ge=0, le=65535)
    """Port to listen on."""
    workers: int = Field(default=1, ge=1, le=256)
    """Worker processes. More than one needs PostgreSQL and Redis in production."""
    threads: int = Field(default=160, ge=1, le=1024)
    """Most requests that one worker runs at the same time. Most of them wait for a password to be
    hashed; a thread that is not needed is not there."""
    one_core: bool = True
    """A lone worker answers requests on one core and hashes on all: half the cost per request.
    Several workers are left to the system. Switch it off where that core is needed otherwise."""
    management_host: str = "127.0.0.1"
    """Address of the management listener (/metrics, /health). Keep it private."""
    management_port: int = Field(default=9000, ge=0, le=65535)
    """Port of the management listener; 0 switches it off."""
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    """Networks whose X-Forwarded-For is believed; from anywhere else it is ignored."""
    client_cert_header: Literal[
        "", "client-cert", "x-ssl-client-cert", "x-forwarded-client-cert"
    ] = ""
    """Header in which a trusted proxy names the client's certificate: RFC 9440's, nginx's escaped
    PEM, Envoy's. The proxy must overwrite it, and drop names with underscores. Empty: none."""
    max_body: int = Field(default=65536, ge=1024)
    """Largest request body in bytes."""


class Storage(Section):
    """Where state lives."""

    database_url: str = ""
    """SQLAlchemy URL, `postgresql+psycopg://user@host/name`. Empty: SQLite in `state_dir`."""
    redis_url: str = ""
    """`redis://host:6379/0` for short-lived values. Empty: the database keeps them too."""
    pool_size: int = Field(default=10, ge=1)
    """Database connections of one worker."""
    cache_ttl: Duration = timedelta(seconds=5)
    """How long a worker may use a client's record before reading it again."""


class Tokens(Section):
    """Lifetimes and algorithms of what is issued."""

    access_token_ttl: Duration = timedelta(minutes=5)
    """Lifetime of an access token."""
    id_token_ttl: Duration = timedelta(minutes=5)
    """Lifetime of an ID token."""
    code_ttl: Duration = timedelta(seconds=60)
    """Lifetime of an authorization code."""
    refresh_token_ttl: Duration = timedelta(days=30)
    """Absolute lifetime of a family of refresh tokens."""
    refresh_grace: Duration = timedelta(seconds=30)
    """A refresh token presented again within this time gets the same successor."""
    access_token_alg: SigningAlg = "ES256"
    """Signature of access tokens, unless the client's record says otherwise."""


class Keys(Section):
    """The signing key ring."""

    publish_ahead: Duration = timedelta(hours=1)
    """A new key is in the JWKS this long before it signs."""
    refresh_every: Duration = timedelta(seconds=15)
    """How often a worker looks for keys that another process made."""


class SessionSettings(Section):
    """Single sign-on sessions."""

    idle: Duration = timedelta(hours=1)
    """A session unused for this long has ended."""
    absolute: Duration = timedelta(hours=12)
    """A session ends this long after sign-in, whatever happens."""
    rotate_every: Duration = timedelta(minutes=30)
    """The session's cookie gets a new secret this often."""
    rotate_grace: Duration = timedelta(seconds=30)
    """The old secret still works for requests that crossed the change."""


class FlowSettings(Section):
    """Signing in."""

    interaction_ttl: Duration = timedelta(minutes=10)
    """Time to finish one sign-in."""
    factor_timeout: Duration = timedelta(seconds=10)
    """A factor that takes longer is a refusal."""
    default_acr: str = "aal1"
    """What every sign-in must reach when nothing asks for more."""
    fresh_for: Duration = timedelta(minutes=5)
    """Changing a password or an authenticator needs proofs no older than this."""
    enrollment_grace: Duration | None = None
    """How long a person may put off a factor that a rule or the default demands, from the first
    time that it is asked for. None: it is enrolled at that very sign-in."""


class Acr(Section):
    """One authentication context class: the sets of factors that reach it."""

    any_of: tuple[tuple[str | tuple[str, ...], ...], ...]
    """Recipes. Each is a list of steps; a step is a factor or a list of alternatives."""
    max_age: Duration | None = None
    """A proof older than this counts no more."""


class Rule(Section):
    """A demand on top of what the request asks."""

    client: str
    """The client that it holds for."""
    require: str
    """The acr that its sign-ins must reach."""


class Web(Section):
    """Pages."""

    brand: str = "idp"
    """Name shown on every page."""
    theme: Path | None = None
    """Folder that overrides templates, texts and colours of the default theme."""
    default_locale: str = "en"
    """Language when the browser and the request name none that we have."""
    cors_origins: tuple[str, ...] = ()
    """Origins of browser applications that may call the token and userinfo endpoints."""
    sign_in_rate: str = "30/minute; 300/hour"
    """Answers to challenges that one address may send (Flask-Limiter notation)."""
    machine_failure_rate: str = "60/minute"
    """Failed client authentications that one address may cause before it gets 429."""


class OutboundSettings(Section):
    """Requests that the provider itself makes."""

    ca_bundle: Path | None = None
    """Certificates to trust besides the system's."""
    allow: tuple[str, ...] = ()
    """Hosts, host:port or networks that may be reached although they are private."""


class Log(Section):
    """The structured log on stderr."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severity that is written."""


_SECRETS = ("seal_keys", "database_password", "redis_password", "mail_password", "sms_token")
SECOND = ("totp", "webauthn", "sms", "recovery_code")
AAL1: dict[str, Any] = {"any_of": (("password",), ("passkey",))}
AAL2: dict[str, Any] = {
    "any_of": (("password", SECOND), ("passkey",)),
    "max_age": timedelta(hours=12),
}


class Settings(BaseSettings):
    """All settings."""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        use_attribute_docstrings=True,
        hide_input_in_errors=True,
    )

    issuer: str = "http://localhost:8000"
    """The provider's identifier, byte for byte in every token. https, no trailing slash."""
    dev: bool = False
    """Development mode: plain http on loopback, throw-away secrets. Never in production."""
    state_dir: Path = Path("state")
    """Folder of the embedded database and of the sealing key."""
    seal_key_file: Path | None = None
    """File of key-encryption keys. Empty: `seal.keys` in `state_dir`, made on first start."""
    seal_keys: SecretStr | None = None
    """The same as a value (environment or /run/secrets only)."""
    database_password: SecretStr | None = None
    """Password for `storage.database_url` (environment or /run/secrets only)."""
    redis_password: SecretStr | None = None
    """Password for `storage.redis_url` (environment or /run/secrets only)."""
    mail_password: SecretStr | None = None
    """Password for `mail.username` (environment or /run/secrets only)."""
    sms_token: SecretStr | None = None
    """Token of the SMS gateway (environment or /run/secrets only)."""
    server: Server = Server()
    storage: Storage = Storage()
    tokens: Tokens = Tokens()
    keys: Keys = Keys()
    session: SessionSettings = SessionSettings()
    flow: FlowSettings = FlowSettings()
    acr: dict[str, Acr] = Field(default_factory=lambda: {"aal1": Acr(**AAL1), "aal2": Acr(**AAL2)})
    """Authentication context classes, weakest first."""
    rule: tuple[Rule, ...] = ()
    """Demands of the provider on single clients."""
    factors: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Settings of each factor, by its name."""
    web: Web = Web()
    mail: MailSettings = MailSettings()
    sms: SmsSettings = SmsSettings()
    recovery: RecoverySettings = RecoverySettings()
    registration: Registration = Registration()
    outbound: OutboundSettings = OutboundSettings()
    log: Log = Log()

    @field_validator("issuer")
    @classmethod
    def _issuer(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("give a whole URL, such as https://login.example.com")
        if value.endswith("/") or parts.query or parts.fragment or parts.username:
            raise ValueError("no trailing slash, query, fragment or user in an issuer")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> "Settings":
        parts = urlsplit(self.issuer)
        if parts.scheme == "http" and not (self.dev and _loopback(parts.hostname or "")):
            raise ValueError("issuer: https is required; plain http is for `dev` on loopback only")
        if self.flow.default_acr not in self.acr:
            raise ValueError(f"flow.default_acr: no [acr.{self.flow.default_acr}] is defined")
        if self.server.client_cert_header and not self.server.trusted_proxies:
            raise ValueError("server.client_cert_header: name the proxy in server.trusted_proxies")
        for rule in self.rule:
            if rule.require not in self.acr:
                raise ValueError(f"rule for {rule.client!r}: no [acr.{rule.require}] is defined")
        if not self.dev:
            for name in _SECRETS:
                secret = getattr(self, name)
                if secret and secret.get_secret_value().lower() in SAMPLE_SECRETS:
                    raise ValueError(f"{name}: this is a sample value; generate a real one")
        return self

    @property
    def path(self) -> str:
        """The issuer's path, without trailing slash; empty at the root."""
        return urlsplit(self.issuer).path

    @property
    def secure(self) -> bool:
        return self.issuer.startswith("https://")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        toml = InitSettingsSource(settings_cls, dict(_toml_values.get({})))
        return (init_settings, file_secret_settings, env_settings, toml)


_toml_values: ContextVar[Mapping[str, Any]] = ContextVar("toml")


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def read(path: Path | None = None, **overrides: Any) -> Settings:
    """Settings from `path` (else $IDP_CONFIG), the environment and /run/secrets.

    Raises ConfigError with one line per problem, naming the key and what would do.
    """
    chosen = path or (Path(os.environ["IDP_CONFIG"]) if os.environ.get("IDP_CONFIG") else None)
    _refuse_unknown_environment()
    try:
        return _build(_read_toml(chosen) if chosen else {}, overrides)
    except ValidationError as problem:
        raise ConfigError(_explain(problem)) from None


def _build(toml: Mapping[str, Any], overrides: Mapping[str, Any]) -> Settings:
    secrets: dict[str, Any] = {"_secrets_dir": SECRETS_DIR} if SECRETS_DIR.is_dir() else {}
    token = _toml_values.set(toml)
    try:
        return Settings(**secrets, **overrides)
    finally:
        _toml_values.reset(token)


def _read_toml(path: Path) -> Mapping[str, Any]:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise ConfigError(f"cannot read {path}: {problem.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise ConfigError(f"{path} is not TOML: {problem}") from None
    for name, info in Settings.model_fields.items():
        if name in values and "SecretStr" in str(info.annotation):
            raise ConfigError(
                f"{path}: {name} is a secret; give it as ${PREFIX}{name.upper()} "
                f"or in {SECRETS_DIR / (PREFIX + name).lower()}"
            )
    return values


def _refuse_unknown_environment() -> None:
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields} | {"IDP_CONFIG"}
    for name in os.environ:
        if name.upper().startswith(PREFIX) and name.upper().split("__")[0] not in known:
            raise ConfigError(f"${name} is not a setting; `idp config docs` lists them all")


def _explain(problem: ValidationError) -> str:
    lines = []
    for error in problem.errors(include_url=False, include_input=False):
        where = ".".join(str(part) for part in error["loc"])
        what = error["msg"].removeprefix("Value error, ")
        if error["type"] == "extra_forbidden":
            what = "is not a setting; `idp config docs` lists them all"
        lines.append(f"{where}: {what}" if where else what)
    return "\n".join(lines)
