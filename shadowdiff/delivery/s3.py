"""A night's files to S3, or to a store that speaks it: `latest.json` last, so that it never names what is not there."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from shadowdiff.delivery.names import checked_night, is_night, newest
from shadowdiff.errors import (
    ConfigError,
    DeliveryError,
    RefusedError,
    RemoteError,
    ThrottledError,
    TransientError,
    first_line,
)
from shadowdiff.records import Usage
from shadowdiff.remote.address import http_parts, is_loopback
from shadowdiff.remote.asker import Asker, Exchange, Reply
from shadowdiff.remote.aws import AwsService, Place
from shadowdiff.remote.aws_errors import CREDENTIALS, Advice
from shadowdiff.remote.settings import ProviderSettings

LATEST = "latest.json"
BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]", re.ASCII)
"""As botocore takes them: stores that are not AWS allow more than AWS does."""
PART = re.compile(r"[^\x00-\x20\x7f\\?#]+")
"""Of a prefix, between slashes."""
DEADLINE_SECONDS = 600.0
CONNECT_SECONDS = 10.0
READ_SECONDS = 30.0
"""Until the next byte of an answer, and for a piece of a file to be taken."""
RETRIES = 4
CONTENT_TYPES = {
    ".md": "text/markdown; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".json": "application/json",
    ".xml": "application/xml",
}
NOT_AWS = {"request_checksum_calculation": "when_required", "response_checksum_validation": "when_required"}
"""Stores that speak S3 may not know the checksums that AWS has come to ask for."""
OTHER_TYPE = "application/octet-stream"
RIGHTS = "allow these credentials s3:PutObject below that prefix"
WHERE = "check s3, s3_endpoint and s3_region in [nightly]"
ADVICE = Advice(
    {
        "AccessDenied": RIGHTS,
        "AllAccessDisabled": RIGHTS,
        "403": f"{RIGHTS}, or see what stands between",
        "NoSuchBucket": "make the bucket, or correct s3 in [nightly]",
        "InvalidAccessKeyId": CREDENTIALS,
        "InvalidToken": CREDENTIALS,
        "ExpiredToken": CREDENTIALS,
        "TokenRefreshRequired": CREDENTIALS,
        "SignatureDoesNotMatch": CREDENTIALS,
        "RequestTimeTooSkewed": "set this machine's clock",
        "EntityTooLarge": "the store takes no file of this size",
        "InvalidStorageClass": WHERE,
        "KMS.DisabledException": "the bucket's key is disabled",
    },
    WHERE,
)


@dataclass(frozen=True, slots=True)
class S3Target:
    """Where nights go: below a prefix of a bucket, with the AWS credentials of the environment."""

    bucket: str
    prefix: str = ""
    """Without slashes at its ends; may be empty."""
    endpoint: str | None = None
    """URL of a store that is not AWS."""
    region: str | None = None
    """None: as the AWS configuration says."""
    profile: str | None = None

    @classmethod
    def parse(
        cls,
        url: str,
        *,
        endpoint: str | None = None,
        region: str | None = None,
        profile: str | None = None,
        allow_plain_http: bool = False,
    ) -> S3Target:
        """The target that `s3://bucket/prefix` is. Opens no connection.

        `allow_plain_http`: whether `endpoint` may be plain http to another machine. Raises ConfigError.
        """
        parts = urlsplit(url)
        prefix = parts.path.strip("/")
        segments = prefix.split("/") if prefix else []
        usable = parts.scheme == "s3" and BUCKET.fullmatch(parts.netloc) and not (parts.query or parts.fragment)
        if not usable or any(item in (".", "..") or not PART.fullmatch(item) for item in segments):
            quoted = "" if "@" in url else f" = {url!r}"
            raise ConfigError(f"s3{quoted}: write s3://BUCKET or s3://BUCKET/PREFIX; credentials are not part of it")
        if endpoint is not None:
            _check_endpoint(endpoint, allow_plain_http=allow_plain_http)
        return cls(parts.netloc, prefix, endpoint, region, profile)

    def key(self, *names: str) -> str:
        """The key of a file."""
        return "/".join([self.prefix, *names] if self.prefix else names)

    def __str__(self) -> str:
        """`s3://bucket/prefix`, and at which store."""
        at = "" if self.endpoint is None else f" at {urlsplit(self.endpoint).netloc}"
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/") + at


def _check_endpoint(url: str, *, allow_plain_http: bool) -> None:
    """Raise ConfigError for what is no http URL, holds a user, or would send reports readable by all."""
    parts = http_parts(url)
    if parts is None or "@" in parts.netloc or parts.query or parts.fragment:
        raise ConfigError("s3_endpoint is no URL of a store: write http(s)://HOST[:PORT], without user, ? and #")
    if not (parts.scheme == "https" or is_loopback(parts.hostname or "") or allow_plain_http):
        raise ConfigError(
            f"s3_endpoint = {url!r} is plain http: reports would travel readable by all;"
            " use https, or set s3_allow_plain_http = true in [nightly]"
        )


def deliver_s3(directory: Path, target: S3Target, night: str, *, deadline: float = DEADLINE_SECONDS) -> None:
    """Upload the directory's files below PREFIX/NIGHT/, then PREFIX/latest.json, unless that names a later night.

    What may pass is tried again; all of it takes `deadline` seconds at most. Files
    that are there already are written over. Raises DeliveryError.
    """
    checked_night(night)
    with _told(directory, target), _uploading(target, deadline) as upload:
        files = sorted(item for item in directory.iterdir() if item.is_file())
        for path in files:
            kind = CONTENT_TYPES.get(path.suffix, OTHER_TYPE)
            upload.put(target.key(night, path.name), path.read_bytes(), ContentType=kind)
        if newest([night, upload.latest() or night]) == night:
            named = json.dumps({"night": night, "files": [f"{night}/{path.name}" for path in files]}, indent=2) + "\n"
            kind = CONTENT_TYPES[".json"]
            upload.put(target.key(LATEST), named.encode(), ContentType=kind, CacheControl="no-cache")


@contextmanager
def _told(directory: Path, target: S3Target) -> Iterator[None]:
    """Whatever goes wrong, as a DeliveryError."""
    try:
        yield
    except RemoteError as error:
        passing = isinstance(error, ThrottledError | TransientError)
        advice = "; see whether it is up, and reachable from here" if passing else ""
        raise DeliveryError(f"the report was not uploaded: {error}{advice}") from error
    except ConfigError as error:
        raise DeliveryError(f"the report was not uploaded to {target}: {error}") from error
    except OSError as error:
        reason = error.strerror or first_line(error)
        raise DeliveryError(f"the report was not uploaded to {target}: {directory} cannot be read: {reason}") from error


@contextmanager
def _uploading(target: S3Target, deadline: float) -> Iterator[_Upload]:
    """All requests of one delivery, ended with it."""
    settings = ProviderSettings(
        url=target.endpoint,
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        turn_deadline=deadline,
        retries=RETRIES,
        concurrency=1,
        allow_plain_http=True,  # S3Target.parse has decided
    )
    place = Place(target.region or "", target.profile)
    said, options = str(target), NOT_AWS if target.endpoint else {}
    service = AwsService("s3", place, settings, name="s3", said=said, advice=ADVICE, client=options)
    try:
        service.prepare()
        yield _Upload(service, Asker(said, settings).exchange(), target)
    finally:
        service.close()


def _nothing() -> dict[str, Any]:
    """An object without content."""
    return {"Body": io.BytesIO()}


@dataclass(frozen=True, slots=True)
class _Upload:
    """Requests under one deadline."""

    service: AwsService
    exchange: Exchange
    target: S3Target

    def put(self, key: str, body: bytes, **more: Any) -> None:
        """Store an object. Raises RemoteError."""
        self._call("put_object", Key=key, Body=body, **more)

    def latest(self) -> str | None:
        """The night that latest.json names; None where it names none, or these credentials may not read it."""
        try:
            found = json.loads(self._call("get_object", Key=self.target.key(LATEST), or_else=_nothing)["Body"].read())
        except (ValueError, RecursionError):
            return None
        night = found.get("night") if isinstance(found, dict) else None
        return night if isinstance(night, str) and is_night(night) else None

    def _call(
        self, operation: str, *, or_else: Callable[[], dict[str, Any]] | None = None, **parameters: Any
    ) -> dict[str, Any]:
        """What the store answers; `or_else` where it refuses, unless that is None."""

        def send() -> Reply[dict[str, Any]]:
            within = self.exchange.left
            try:
                answer = self.service.call(operation, within, Bucket=self.target.bucket, **parameters)
            except RefusedError:
                if or_else is None:
                    raise
                answer = or_else()
            return Reply(answer, Usage())

        return self.exchange.call(send)
