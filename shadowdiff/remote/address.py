"""Which URLs may be asked: checked before anything is sent."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from shadowdiff.errors import ConfigError
from shadowdiff.remote.settings import ProviderSettings


@dataclass(frozen=True, slots=True)
class Address:
    """Where a provider listens."""

    base: str
    """URL without a slash at its end."""
    host: str
    """With the port, where the URL names one: what errors and `Network.contacts` say."""
    loopback: bool
    """This machine."""
    tls: bool


def checked_address(url: str, settings: ProviderSettings, name: str) -> Address:
    """The address that a URL is, of the provider configured as [providers.`name`].

    Raises ConfigError for what is no http URL, holds a user or a password, or is
    plain http to another machine without leave.
    """
    parts = _split(url)
    address = Address(url.rstrip("/"), parts.netloc, is_loopback(parts.hostname or ""), parts.scheme == "https")
    if not (address.tls or address.loopback or settings.allow_plain_http):
        raise ConfigError(
            f"{address.base} is plain http: texts and key would travel readable by all;"
            f" use https, or set allow_plain_http = true in [providers.{name}]"
        )
    return address


def is_loopback(host: str) -> bool:
    """Whether a host, without port, is this machine whatever the network says."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def http_parts(url: str) -> SplitResult | None:
    """The parts of an http or https URL; None where it is none that could be asked."""
    import httpx

    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
        httpx.URL(url)
    except (ValueError, httpx.InvalidURL):
        return None
    return parts if usable and url.isprintable() and " " not in url else None


def _split(url: str) -> SplitResult:
    """The URL's parts. What may hold a password is not quoted."""
    parts = http_parts(url)
    shown = re.split("[?#]", url)[0]
    if "@" in url:
        raise ConfigError("a provider's URL holds no user and no password: keys are read from the environment only")
    if parts is None:
        raise ConfigError(f"{shown!r} is no URL of a provider: write http(s)://HOST[:PORT][/PATH]")
    if parts.query or parts.fragment:
        raise ConfigError(f"{shown}: a provider's URL ends with its path, without ? and #")
    return parts
