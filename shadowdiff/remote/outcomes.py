"""What a provider's answer, or the lack of one, means: which of our errors it is."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping, Set
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING

from shadowdiff.errors import RefusedError, RemoteError, ThrottledError, TransientError
from shadowdiff.remote.secrets import scrub
from shadowdiff.remote.texts import line, quoted

if TYPE_CHECKING:
    import httpx

THROTTLED = frozenset({429, 529})
"""529: overloaded, as Anthropic and others say it."""
TRANSIENT = frozenset({408, 409, 424, 425})
"""Beside everything from 500. 409: another call is in the way. 424: the model behind a TEI server is out of order."""
REFUSED = frozenset({400, 401, 402, 403, 404, 405, 410, 422})
SECONDS = re.compile(r"\d{1,9}(\.\d+)?")


def error_of(host: str, status: int, headers: Mapping[str, str], body: bytes, turn_fails: Set[int]) -> RemoteError:
    """The error that a status other than 2xx is. Of `turn_fails`, none stops the side."""
    plain = f"{host} answers {status}{_phrase(status)}"
    said = quoted(body)
    message = f"{plain}: {said}" if said else plain
    if status in THROTTLED:
        return ThrottledError(message, plain, retry_after(headers))
    if status in TRANSIENT or status >= 500:
        return TransientError(message, plain, retry_after(headers))
    if 300 <= status < 400:
        return _redirected(plain, headers)
    return (RefusedError if status in REFUSED - turn_fails else RemoteError)(message, plain)


def error_from(host: str, error: httpx.HTTPError | OSError | ValueError) -> RemoteError:
    """The error that a call without an answer is."""
    if _distrusted(error):
        plain = f"{host} shows a certificate that is not trusted"
        return RefusedError(f"{plain}; SSL_CERT_FILE names the authorities to trust, where there are own ones", plain)
    plain = f"{host} gives no answer: {type(error).__name__}"
    return TransientError(f"{plain}: {line(str(error))}", plain)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the Retry-After header asks for, given in seconds or as a date; None: no header, or not readable."""
    text = headers.get("retry-after", "").strip()
    if SECONDS.fullmatch(text):
        return float(text)
    until, now = _moment(text), _moment(headers.get("date", "")) or datetime.now(UTC)
    return None if until is None else max(0.0, (until - now).total_seconds())


def _moment(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _redirected(plain: str, headers: Mapping[str, str]) -> RefusedError:
    """Followed, a redirect would carry texts and key to a host that nobody has named."""
    where = scrub(headers.get("location", ""))[:200]
    told = "; redirects are not followed: configure the URL that answers itself"
    return RefusedError(f"{plain}, to {where!r}{told}" if where else plain + told, plain + told)


def _phrase(status: int) -> str:
    try:
        return f" {HTTPStatus(status).phrase}"
    except ValueError:
        return ""


def _distrusted(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False
