"""What AWS errors mean: one table from error code to what is done about it, and what a person can do.

Codes are those of the service models that boto3 carries, of its lists of codes to
retry, and of what AWS says where a signature or a credential is not accepted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shadowdiff.errors import RefusedError, RemoteError, ThrottledError, TransientError
from shadowdiff.remote.outcomes import error_from, retry_after
from shadowdiff.remote.texts import line

THROTTLED = (
    "ThrottlingException",
    "ServiceQuotaExceededException",  # not among botocore's own codes of throttling
    "TooManyRequestsException",
    "ModelNotReadyException",
    "Throttling",
    "ThrottledException",
    "RequestThrottled",
    "RequestThrottledException",
    "RequestLimitExceeded",
    "LimitExceededException",
    "BandwidthLimitExceeded",
    "ProvisionedThroughputExceededException",
    "SlowDown",
)
TRANSIENT = (
    "InternalServerException",
    "InternalServerError",
    "InternalFailure",
    "BadGatewayException",
    "DependencyFailedException",
    "ServiceUnavailableException",
    "ServiceUnavailable",
    "ModelTimeoutException",
    "ModelErrorException",  # 424: the model, or what it runs on, is out of order
    "ConflictException",  # 409: another call is in the way
    "RequestTimeout",
    "RequestTimeoutException",
    "PriorRequestNotComplete",
    "TransactionInProgressException",
)
GET_CREDENTIALS = (
    "set AWS_PROFILE or AWS_ACCESS_KEY_ID and its companions, run `aws sso login`, or run where a role gives them"
)
CREDENTIALS = "renew the AWS credentials (`aws sso login`, the profile, or AWS_ACCESS_KEY_ID and its companions)"
REQUEST = "check the model and its region"
RIGHTS = "allow these credentials to use the model, and ask for access to it in this region's Bedrock console"
REFUSED = {
    "AccessDeniedException": RIGHTS,
    "AccessDenied": RIGHTS,
    "NotAuthorized": RIGHTS,
    "OptInRequired": RIGHTS,
    "ResourceNotFoundException": REQUEST,
    "ValidationException": REQUEST,
    "ValidationError": REQUEST,
    "UnknownOperationException": REQUEST,
    "SerializationException": REQUEST,
    "UnrecognizedClientException": CREDENTIALS,
    "InvalidClientTokenId": CREDENTIALS,
    "InvalidSignatureException": CREDENTIALS + "; if they are right, set this machine's clock",
    "SignatureDoesNotMatch": CREDENTIALS,
    "IncompleteSignature": CREDENTIALS,
    "IncompleteSignatureException": CREDENTIALS,
    "MissingAuthenticationToken": CREDENTIALS,
    "MissingAuthenticationTokenException": CREDENTIALS,
    "ExpiredToken": CREDENTIALS,
    "ExpiredTokenException": CREDENTIALS,
    "RequestExpired": CREDENTIALS + "; if they are right, set this machine's clock",
}
"""With what to do."""


@dataclass(frozen=True, slots=True)
class Advice:
    """What a person can do about a call that a service refuses."""

    by_code: Mapping[str, str]
    """Or by status, in digits, for whatever else comes with it."""
    otherwise: str


BEDROCK = Advice(REFUSED, REQUEST)
INVALID = ("ValidationException", "ValidationError")
"""Of which some concern the one request."""
KINDS: Mapping[str, type[RemoteError]] = (
    dict.fromkeys(THROTTLED, ThrottledError)
    | dict.fromkeys(TRANSIENT, TransientError)
    | dict.fromkeys(REFUSED, RefusedError)
)
BY_STATUS = {429: ThrottledError, 408: TransientError, 409: TransientError, 424: TransientError}
"""For codes that the table lacks, beside everything from 500 (tried again) and the rest from 400 (refused)."""
TOO_LONG = re.compile(
    r"too long|too many (input )?tokens|context (length|window)|maximum (number of )?\w* ?tokens", re.I
)
"""How models say in a ValidationException that it is this request's size, and not its form, that is wrong."""


def failures() -> tuple[type[Exception], ...]:
    """What a call through boto3, over our own lines, may raise that says something of the call."""
    import httpx
    from botocore.exceptions import BotoCoreError, ClientError

    return (BotoCoreError, ClientError, httpx.HTTPError, OSError, RemoteError)


def error_of(where: str, error: Any, *, proven: bool, advice: Advice = BEDROCK) -> RemoteError:
    """The error of ours that one of `failures` is; `where` is what was asked, in words.

    `proven`: a request of the same form has been answered before, so that one that
    is not valid says nothing of the others.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    if isinstance(error, ClientError):
        return _answered(where, error.response, proven, advice)
    if isinstance(error, BotoCoreError):
        return _unsent(where, error)
    return error_from(where, error)


def _answered(where: str, response: Mapping[str, Any], proven: bool, advice: Advice) -> RemoteError:
    """AWS has answered, with an error."""
    told, rest = response.get("Error", {}), response.get("ResponseMetadata", {})
    code, status = str(told.get("Code") or ""), int(rest.get("HTTPStatusCode") or 0)
    kind = KINDS.get(code) or _by_status(status)
    plain = f"{where} answers {code if code in KINDS or code in advice.by_code else status}"
    words = line(str(told.get("Message") or ""))
    message = f"{plain}: {words}" if words else plain
    if code in INVALID and (proven or TOO_LONG.search(words)):
        return RemoteError(message, plain)
    if issubclass(kind, ThrottledError | TransientError):
        return kind(message, plain, retry_after(rest.get("HTTPHeaders", {})))
    to_do = f"; {advice.by_code.get(code) or advice.by_code.get(str(status), advice.otherwise)}"
    return kind(message + to_do, plain + to_do)


def _by_status(status: int) -> type[RemoteError]:
    if status in BY_STATUS:
        return BY_STATUS[status]
    return TransientError if status >= 500 else RefusedError if status >= 400 else RemoteError


def _unsent(where: str, error: Exception) -> RemoteError:
    """It was not sent."""
    from botocore import exceptions

    plain = f"{where} was not asked: {type(error).__name__}"
    message = f"{plain}: {line(str(error))}"
    if isinstance(error, exceptions.NoCredentialsError | exceptions.NoAuthTokenError):
        said = f"{where} was not asked: there are no AWS credentials; {GET_CREDENTIALS}"
        return RefusedError(said, said)
    if isinstance(error, exceptions.ParamValidationError):
        return RemoteError(message, plain)
    if isinstance(error, exceptions.ConnectionError | exceptions.HTTPClientError):
        return TransientError(message, plain)
    advice = f"; {CREDENTIALS}" if isinstance(error, _of_credentials()) else ""
    return RefusedError(message + advice, plain + advice)


def _of_credentials() -> tuple[type[Exception], ...]:
    """What botocore raises where there are credentials, and they cannot be had."""
    from botocore import exceptions

    return (
        exceptions.PartialCredentialsError,
        exceptions.CredentialRetrievalError,
        exceptions.TokenRetrievalError,
        exceptions.SSOError,
        exceptions.UnknownCredentialError,
        exceptions.RefreshWithMFAUnsupportedError,
    )
