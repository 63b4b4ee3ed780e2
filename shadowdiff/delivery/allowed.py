"""What of the deliveries that are asked for may be made at all."""

from __future__ import annotations

from shadowdiff.errors import OfflineError


def refuse_offline(*, s3: str | None, webhook: str | None, offline: bool) -> None:
    """Raise OfflineError where a night's report would leave over a network and [privacy] offline allows none.

    `s3` and `webhook` are as in [nightly]: a URL and the name of a variable; None:
    not asked for. To be called before a night begins: what cannot be delivered
    should not be computed first.
    """
    asked = {"s3": s3, "webhook_env": webhook}
    named = [key for key, value in asked.items() if value is not None]
    if offline and named:
        keys = " and ".join(named)
        raise OfflineError(
            f"[nightly] {keys} would send reports over the network, and [privacy] offline allows databases only;"
            f" take out {keys}, or offline"
        )
