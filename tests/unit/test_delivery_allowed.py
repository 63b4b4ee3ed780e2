"""What [privacy] offline makes of deliveries that go over a network."""

from __future__ import annotations

import pytest

from shadowdiff.delivery.allowed import refuse_offline
from shadowdiff.errors import ConfigError


@pytest.mark.parametrize(
    ("s3", "webhook", "named"),
    [("s3://b", None, "s3"), (None, "HOOK", "webhook_env"), ("s3://b", "HOOK", "s3 and webhook_env")],
)
def test_offline_refuses_what_leaves_over_a_network(s3: str | None, webhook: str | None, named: str) -> None:
    """Says which keys, and what to do; online, anything may."""
    with pytest.raises(ConfigError, match=rf"^\[nightly\] {named} would send reports over the network"):
        refuse_offline(s3=s3, webhook=webhook, offline=True)
    refuse_offline(s3=s3, webhook=webhook, offline=False)


def test_a_directory_is_no_network() -> None:
    """Offline or not."""
    refuse_offline(s3=None, webhook=None, offline=True)
