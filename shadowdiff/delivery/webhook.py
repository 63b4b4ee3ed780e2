"""A short JSON message to a webhook: patient with it for a bounded time, and silent about its URL, a secret."""

from __future__ import annotations

import re
from collections.abc import Mapping

from shadowdiff.errors import ConfigError, DeliveryError, RemoteError
from shadowdiff.records import Usage
from shadowdiff.remote.address import Address, http_parts, is_loopback
from shadowdiff.remote.asker import Asker, Reply
from shadowdiff.remote.http import HttpHost
from shadowdiff.remote.secrets import Secret, key_from_environment
from shadowdiff.remote.settings import ProviderSettings
from shadowdiff.remote.texts import encoded

RETRIES = 6
CONNECT_SECONDS = 5.0
READ_SECONDS = 10.0
"""Until the next byte of the answer."""
MOST_BYTES = 2**20
"""Of an answer, of which nothing is used."""
GONE = frozenset({401, 403, 404, 410})
HEADERS = {"content-type": "application/json; charset=utf-8", "accept": "*/*"}


def webhook_from(variable: str) -> Secret:
    """The URL in this environment variable. Raises ConfigError where there is none, or it may not be used."""
    url = key_from_environment([variable], f"the webhook of [nightly] (webhook_env = {variable!r})")
    _address(url)
    return url


def deliver_webhook(url: Secret, message: Mapping[str, object], *, deadline: float = 30.0) -> None:
    """POST the message as JSON; what may pass (429, 5xx, lost connections) is tried again within `deadline` seconds.

    Redirects are not followed. Raises ConfigError for a URL that may not be used,
    and DeliveryError, which names the host alone.
    """
    settings = ProviderSettings(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        turn_deadline=deadline,
        retries=RETRIES,
        concurrency=1,
    )
    address, body = _address(url), encoded(dict(message))
    host, asker = HttpHost(address, settings, most_bytes=MOST_BYTES), Asker(f"webhook {address.host}", settings)
    exchange = asker.exchange()

    def send() -> Reply[None]:
        host.answer("POST", "", HEADERS, body, exchange.left)
        return Reply(None, Usage())

    try:
        exchange.call(send)
    except RemoteError as error:  # in our own words: what a webhook says of a request may quote its path
        raise DeliveryError(f"the webhook was not told: {error.textless}; {_advice(error.textless)}") from None
    finally:
        host.close()


def _advice(said: str) -> str:
    found = re.search(r" answers (\d{3})\b", said)
    status = int(found[1]) if found else 0
    if 300 <= status < 400:
        return "its URL is another by now"
    if status in GONE:
        return "is its URL still valid?"
    if 400 <= status < 500 and status not in (408, 429):
        return "does it take Slack-compatible JSON?"
    return "the message can be sent again later"


def _address(url: Secret) -> Address:
    """What is asked. Raises ConfigError, without the URL: all but its host is secret."""
    parts = http_parts(url.reveal())
    if parts is None:
        raise ConfigError("the webhook's URL is none: write https://HOST/PATH")
    if parts.username is not None or parts.password is not None:
        raise ConfigError(f"the webhook's URL on {parts.hostname} holds a user: leave it away")
    loopback, tls = is_loopback(parts.hostname or ""), parts.scheme == "https"
    if not (tls or loopback):
        raise ConfigError(f"the webhook on {parts.hostname} is plain http: its secret would travel readable; use https")
    return Address(url.reveal(), parts.netloc, loopback, tls)
