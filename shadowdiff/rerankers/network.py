"""Who connects where: what rerankers say of themselves, and what `offline` does about it."""

from __future__ import annotations

import os
from collections.abc import Iterable

from shadowdiff.errors import OfflineError
from shadowdiff.protocols import Network, Networked

UNDECLARED = Network("a network, for all that is known: it does not say", sends_texts=True)
"""What is taken of a reranker that says nothing: the most."""

LIBRARIES_OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
"""Variables that the Hugging Face libraries read when they are imported."""


def network_of(reranker: object) -> Network | None:
    """What a reranker connects to; UNDECLARED where it has no `network`."""
    return reranker.network if isinstance(reranker, Networked) else UNDECLARED


def joined(networks: Iterable[Network | None]) -> Network | None:
    """What a reranker connects to that is made of others."""
    found = [network for network in networks if network is not None]
    if not found:
        return None
    contacts = " and ".join(dict.fromkeys(network.contacts for network in found))
    return Network(contacts, any(network.sends_texts for network in found))


def refuse_network(what: str, network: Network | None) -> None:
    """Raise OfflineError where `what` would connect to anything: for `offline`."""
    if network is None:
        return
    hint = "; declare `network = None` in it if it opens no connection" if network is UNDECLARED else ""
    raise OfflineError(f"{what} would contact {network.contacts}, and [privacy] offline allows databases only{hint}")


def hold_libraries_offline() -> None:
    """Keep the model libraries from looking anything up. To be called before they are imported."""
    os.environ.update(LIBRARIES_OFFLINE)
