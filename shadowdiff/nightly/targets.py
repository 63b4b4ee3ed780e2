"""Where nights' reports go by the configuration, and whether they can: nothing is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shadowdiff.config import PrivacySettings
from shadowdiff.errors import ConfigError
from shadowdiff.nightly.settings import NightlySettings
from shadowdiff.nights import Target

if TYPE_CHECKING:
    from shadowdiff.delivery.s3 import S3Target


def targets(settings: NightlySettings) -> tuple[Target, ...]:
    """Where reports go by the configuration."""
    wanted = {
        Target.DIRECTORY: settings.directory,
        Target.S3: settings.s3,
        Target.WEBHOOK: settings.webhook_env,
    }
    return tuple(target for target, where in wanted.items() if where)


def check_targets(settings: NightlySettings, privacy: PrivacySettings) -> None:
    """Refuse what cannot be delivered to, before a night is replayed. Opens no connection. Raises ConfigError."""
    from shadowdiff.delivery.allowed import refuse_offline
    from shadowdiff.delivery.directory import not_ours
    from shadowdiff.delivery.webhook import webhook_from

    if settings.directory and (reason := not_ours(settings.directory, settings.name)):
        raise ConfigError(f"[nightly] directory: {reason}")
    refuse_offline(s3=settings.s3, webhook=settings.webhook_env, offline=privacy.offline)
    if settings.s3:
        s3_target(settings)
    if settings.webhook_env:
        webhook_from(settings.webhook_env)


def s3_target(settings: NightlySettings) -> S3Target:
    """Where nights are uploaded to. Raises ConfigError."""
    from shadowdiff.delivery.s3 import S3Target

    return S3Target.parse(
        settings.s3 or "",
        endpoint=settings.s3_endpoint,
        region=settings.s3_region,
        profile=settings.s3_profile,
        allow_plain_http=settings.s3_allow_plain_http,
    )
