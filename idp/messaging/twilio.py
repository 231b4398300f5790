"""Text messages through Twilio, by its own library (the extra `idp[twilio]`)."""

from datetime import timedelta
from typing import Any

from idp.errors import ConfigError, OutsideError
from idp.model import Message


class Twilio:
    def __init__(
        self, account: str, token: str, sender: str, timeout: timedelta, http: Any = None
    ) -> None:
        """`http` is the library's HTTP client, for who has a proxy of their own. Raises ConfigError
        when the library is not installed."""
        try:
            from twilio.base.exceptions import TwilioException
            from twilio.http.http_client import TwilioHttpClient
            from twilio.rest import Client
        except ImportError:
            raise ConfigError(
                "sms.gateway is twilio, whose library is not installed: pip install 'idp[twilio]'"
            ) from None
        http = http or TwilioHttpClient(timeout=timeout.total_seconds())
        self._client = Client(account, token, http_client=http)
        self._sender = sender
        self._refusal = TwilioException

    def __repr__(self) -> str:
        return "Twilio()"

    def send(self, message: Message) -> None:
        """Raises OutsideError with the status and Twilio's own code, or what the library raises
        when there is no answer."""
        try:
            self._client.messages.create(to=message.to, from_=self._sender, body=message.text)
        except self._refusal as refusal:
            status, code = getattr(refusal, "status", None), getattr(refusal, "code", None)
            if not isinstance(status, int):
                raise
            known = code if isinstance(code, int) else "unknown"
            raise OutsideError(f"status {status}, Twilio's code {known}") from None
