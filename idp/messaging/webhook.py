"""Text messages through any gateway that takes an HTTP POST: `{"id", "to", "text", "sender"}`.

`id` is new for each message and also the Idempotency-Key, so that a gateway which gets a request
twice sends one message.
"""

from collections.abc import Callable, Mapping
from uuid import uuid4

from idp.model import Message

Post = Callable[[str, object, Mapping[str, str]], int]  # url, JSON, headers; raises unless 2xx


class Webhook:
    def __init__(self, post: Post, url: str, token: str, sender: str = "") -> None:
        self._post = post
        self._url = url
        self._token = token
        self._sender = sender

    def __repr__(self) -> str:
        return f"Webhook({self._url!r})"

    def send(self, message: Message) -> None:
        """Raises what `post` raises: then it is not known whether the message went out."""
        key = str(uuid4())
        document = {"id": key, "to": message.to, "text": message.text}
        if self._sender:
            document["sender"] = self._sender
        headers = {"Idempotency-Key": key}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        self._post(self._url, document, headers)
