"""Text messages through Twilio, by its own library (the extra `idp[twilio]`)."""

from datetime import timedelta
from typing import Any

from idp.errors import ConfigError
from idp.model import Message


class Twilio:
    def __init__(
        self, account: str, token: str, sender: str, timeout: timedelta, http: Any = None
    ) -> None:
        """`http` is the library's HTTP client, for who has a proxy of their own. Raises ConfigError
        when the library is not installed."""
        try:
            from twilio.http.http_client import TwilioHttpClient
            from twilio.rest import Client
        except ImportError:
            raise ConfigError(
                "sms.gateway is twilio, whose library is not installed: pip install 'idp[twilio]'"
            ) from None
        http = http or TwilioHttpClient(timeout=timeout.total_seconds())
        self._client = Client(account, token, http_client=http)
        self._sender = sender

    def __repr__(self) -> str:
        return "Twilio()"

    def send(self, message: Message) -> None:
        """Raises what the library raises for an answer that is not 2xx."""
        self._client.messages.create(to=message.to, from_=self._sender, body=message.text)
