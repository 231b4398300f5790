"""Who carries messages to people, as the settings say; by the kind of message."""

from collections.abc import Mapping

from idp.errors import ConfigError
from idp.messaging.smtp import require_usable
from idp.messaging.twilio import Twilio
from idp.messaging.webhook import Post, Webhook
from idp.ports import Messenger
from idp.settings import Settings


def gateways(settings: Settings, post: Post, queue: Messenger) -> Mapping[str, Messenger]:
    """`queue` keeps mails until they are delivered. Raises ConfigError for a gateway that lacks
    what it needs."""
    found: dict[str, Messenger] = {}
    if settings.mail.host:
        require_usable(settings)
        found["mail"] = queue
    sms = _sms(settings, post)
    if sms is not None:
        found["sms"] = sms
    return found


def _sms(settings: Settings, post: Post) -> Messenger | None:
    sms, token = settings.sms, settings.sms_token
    secret = "" if token is None else token.get_secret_value()
    if sms.gateway == "webhook":
        if not sms.webhook_url:
            raise ConfigError("sms.gateway is webhook: set sms.webhook_url to where it listens")
        return Webhook(post, sms.webhook_url, secret, sms.sender)
    if sms.gateway == "twilio":
        if not (sms.twilio_account and secret and sms.sender):
            raise ConfigError(
                "sms.gateway is twilio: set sms.twilio_account, sms.sender and the secret sms_token"
            )
        return Twilio(sms.twilio_account, secret, sms.sender, sms.timeout)
    return None
