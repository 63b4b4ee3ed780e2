"""Providers to test against: each speaks its documented form over real loopback HTTP, with faults on demand.

    with ProviderServer("cohere", Faults(throttled=0.3, broken=0.05, hangs=0.01)) as server:
        ...                          # server.url, server.answered, server.requests

`python -m tests.providers --form cohere --fault throttled=0.3` runs one as a process.
"""

from tests.providers.faults import WRONG_ANSWERS, Fault, Faults
from tests.providers.server import KEY, ProviderServer, Request

__all__ = ["KEY", "WRONG_ANSWERS", "Fault", "Faults", "ProviderServer", "Request"]
