"""Calls to AWS services: boto3 checks, signs and reads them; they travel over our own lines, which can be cut.

    bedrock = Bedrock("bedrock-agent-runtime", place, settings, name="bedrock")
    answer = bedrock.call("rerank", within=exchange.left, queries=…, sources=…)

botocore itself sets a time limit on each read, not on an answer, and wakes
nobody who waits for one. Its event `before-send` takes the answer from elsewhere,
which is all that is changed: parameters, endpoint, signature and parsing are its own.
"""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from shadowdiff.errors import ConfigError, RemoteError, TransientError, first_line
from shadowdiff.remote.address import checked_address
from shadowdiff.remote.aws_errors import BEDROCK, Advice, error_of, failures
from shadowdiff.remote.http import MOST_BYTES
from shadowdiff.remote.lines import Line, Lines
from shadowdiff.remote.secrets import Secret
from shadowdiff.remote.settings import ProviderSettings

BEARER = "AWS_BEARER_TOKEN_BEDROCK"
"""boto3 takes a Bedrock API key from it, for InvokeModel and Converse."""
AT_HAND = frozenset({"env", "shared-credentials-file", "config-file", "sso"})
"""Providers of credentials that botocore can look into without opening a connection."""
PIECE = 2**20
"""Bytes sent at a time of what is read while it is sent."""
OURS = frozenset({"content-length", "content-encoding", "transfer-encoding"})
"""Headers that say how an answer travelled, and not what it is."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where Bedrock is asked, and as whom."""

    region: str
    profile: str | None = None
    """Of the AWS configuration; None: its default."""


def place_of(region: str | None, profile: str | None) -> Place:
    """The place, its region from the AWS configuration and environment unless it is given.

    Raises ConfigError where there is none, or no such profile. Opens no connection.
    """
    found = region or _session(Place("", profile)).region_name
    if not found:
        raise ConfigError(
            "Bedrock needs a region: write region=… in the spec, region in [providers.bedrock], or set AWS_REGION"
        )
    return Place(found, profile)


def partition_of(region: str) -> str:
    """`aws`, or what the ARNs of a region begin with elsewhere. Raises ConfigError for what is no region's name."""
    from botocore.exceptions import BotoCoreError

    try:
        return str(_session(Place(region)).get_partition_for_region(region))
    except BotoCoreError as error:
        raise ConfigError(f"{region!r} is no AWS region: {first_line(error)}") from error


def credentials_at_hand(service: str, place: Place) -> str | None:
    """Where credentials were found, without opening a connection; None: a role of this machine may still have some."""
    if os.environ.get(BEARER) and service == "bedrock-runtime":
        return BEARER
    session = _session(place)
    providers = session._session.get_component("credential_provider").providers  # noqa: SLF001 boto3 has no other way
    for provider in providers:
        if provider.METHOD in AT_HAND and provider.load() is not None:
            return str(provider.METHOD)
    return None


class AwsService:
    """The way to one AWS service in one place. For several threads."""

    def __init__(
        self,
        service: str,
        place: Place,
        settings: ProviderSettings,
        *,
        name: str,
        said: str,
        advice: Advice = BEDROCK,
        client: Mapping[str, Any] | None = None,
    ) -> None:
        """`service` is boto3's name of it; `name` the table [providers.NAME] that `settings` come from.

        `said` is what is asked, in words for a person; `client`, options of botocore's
        Config. Opens no connection. Raises ConfigError for a `url` that may not be asked.
        """
        self.service = service
        self.place = place
        self.said = said
        self._advice = advice
        self._options = client or {}
        self._settings = settings
        self._name = name
        self._lock = threading.Lock()
        self._opened: _Opened | None = None
        self._under_way = threading.local()
        self._closed = False
        self._proven = False
        if settings.url:
            checked_address(settings.url, settings, name)

    def prepare(self) -> None:
        """Make the client and look for credentials, so that no call has to wait for either. Raises ConfigError."""
        opened = self._client()
        with suppress(*failures()):
            self._know_secrets(opened)

    def call(self, operation: str, within: float, **parameters: Any) -> dict[str, Any]:
        """What boto3 makes of the answer, which must have come whole `within` so many seconds.

        Empty where boto3 cannot read it: it was answered, and costs, all the same.
        Raises RemoteError and its subclasses; ConfigError where no client can be made.
        """
        opened = self._client()
        if self._closed:
            raise self._stopped()
        with opened.lines.line() as line, line.limited(within):
            self._under_way.line, self._under_way.within, self._under_way.answered = line, within, False
            try:
                answer: dict[str, Any] = getattr(opened.client, operation)(**parameters)
            except failures() as error:
                with suppress(*failures()):
                    self._know_secrets(opened)
                raise self._told(line, error, within) from None
            except Exception:  # botocore's parsers raise what JSON of another form makes them raise
                if not self._under_way.answered:
                    raise
                return {}
        self._proven = True
        return answer

    def close(self) -> None:
        """End what is under way; every call from now on fails."""
        with self._lock:
            self._closed = True
            if self._opened is not None:
                self._opened.lines.close()

    def _client(self) -> _Opened:
        with self._lock:
            if self._opened is None:
                self._opened = self._open()
                if self._closed:
                    self._opened.lines.close()
            return self._opened

    def _open(self) -> _Opened:
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError

        settings, session = self._settings, _session(self.place)
        once = {"mode": "standard", "total_max_attempts": 1}  # the asker's are the only retries
        config = Config(retries=once, **self._options)
        try:
            client = session.client(self.service, endpoint_url=settings.url, config=config)
        except (BotoCoreError, ValueError) as error:
            raise ConfigError(f"no way to {self.said}: {first_line(error)}") from error
        address = checked_address(client.meta.endpoint_url, settings, self._name)
        client.meta.events.register("before-send", self._send)
        authorities = _authorities(session)
        lines = Lines(tls=address.tls, proxies=not address.loopback, authorities=authorities)
        return _Opened(session, client, lines)

    def _send(self, request: Any, **_: Any) -> Any:
        """The signed request over the line of this thread, as botocore's own kind of answer."""
        import httpx
        from botocore.awsrequest import AWSResponse

        connect = min(self._settings.connect_timeout, max(self._under_way.within, 0.001))
        line: Line = self._under_way.line
        sent = line.client.build_request(
            request.method,
            request.url,
            content=_content(request.body),
            headers={name: _text(value) for name, value in request.headers.items()},
            timeout=httpx.Timeout(self._settings.read_timeout, connect=connect),
            extensions={"trace": line.trace},
        )
        response = line.client.send(sent, stream=True)
        try:
            body = self._read(response.iter_bytes())
        finally:
            response.close()
        self._under_way.answered = response.is_success
        headers = {name: value for name, value in response.headers.items() if name not in OURS}
        return AWSResponse(request.url, response.status_code, headers, _Read(body))

    def _read(self, pieces: Iterator[bytes]) -> bytes:
        found = bytearray()
        for piece in pieces:
            found += piece
            if len(found) > MOST_BYTES:
                said = f"{self.said} answers with more than {MOST_BYTES} bytes"
                raise RemoteError(said, said)
        return bytes(found)

    def _told(self, line: Line, error: Exception, within: float) -> RemoteError:
        if isinstance(error, RemoteError):
            return error
        if self._closed:
            return self._stopped()
        if line.is_cut:
            said = f"{self.said} gave no whole answer in the {within:.1f} s that were left"
            return TransientError(said, said)
        return error_of(self.said, error, proven=self._proven, advice=self._advice)

    def _stopped(self) -> RemoteError:
        said = f"{self.said} is asked nothing more: this side was stopped"
        return RemoteError(said, said)

    def _know_secrets(self, opened: _Opened) -> None:
        """Whatever is quoted of an error has the credentials taken out."""
        found = opened.session.get_credentials()
        frozen = None if found is None else found.get_frozen_credentials()
        values = [frozen.access_key, frozen.secret_key, frozen.token] if frozen is not None else []
        for value in (*values, os.environ.get(BEARER)):
            if value:
                Secret(value)


class Bedrock(AwsService):
    """One side's way to a Bedrock service in one place. For several threads."""

    def __init__(self, service: str, place: Place, settings: ProviderSettings, *, name: str) -> None:
        """As for AwsService."""
        super().__init__(service, place, settings, name=name, said=f"Bedrock in {place.region}")


@dataclass(frozen=True, slots=True)
class _Opened:
    """A client, once it is made."""

    session: Any
    client: Any
    lines: Lines


class _Read(io.BytesIO):
    """A whole body where botocore expects one that is still to be read."""

    def stream(self, **_: Any) -> Iterator[bytes]:
        """All of it."""
        yield self.getvalue()


@cache
def _service_models() -> Any:
    """What boto3 carries of services, read once for all sides."""
    from botocore.loaders import create_loader

    return create_loader()


def _content(body: Any) -> bytes | Iterator[bytes] | None:
    """What is sent: bytes, or what botocore reads piece by piece to add a checksum behind it."""
    return body if body is None or isinstance(body, bytes) else iter(lambda: body.read(PIECE), b"")


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _authorities(session: Any) -> str | None:
    """The file of AWS_CA_BUNDLE, or of `ca_bundle` in the AWS configuration. Raises ConfigError where it is none."""
    found: str | None = session._session.get_config_variable("ca_bundle")  # noqa: SLF001 boto3 has no other way
    if found and not Path(found).is_file():
        raise ConfigError(f"AWS_CA_BUNDLE, or ca_bundle in the AWS configuration, names {found!r}, which is no file")
    return found


def _session(place: Place) -> Any:
    """A boto3 session of the place. Raises ConfigError where the AWS configuration has no such profile."""
    import boto3
    import botocore.session
    from botocore.exceptions import BotoCoreError

    session = botocore.session.get_session()
    session.register_component("data_loader", _service_models())
    try:
        made = boto3.Session(botocore_session=session, profile_name=place.profile, region_name=place.region or None)
        session.get_scoped_config()  # where a profile that there is not would be missed
    except BotoCoreError as error:
        raise ConfigError(f"{first_line(error)}; see `aws configure list-profiles`") from error
    return made
