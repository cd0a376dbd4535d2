"""Calls to an organisation's provider, bounded in time, size and number.

Rules kept here:

* A visit to a provider has one deadline for all that it asks, from the first look-up to the last
  byte: a provider that sends a byte now and then can't hold a thread. (Looking up a host's name is
  the system's, with the system's own limits.)
* An answer has a largest size, unpacked, and leads nowhere else; no login of ~/.netrc goes along.
  The way there is the company's (`outbound.network`).
* Of one provider so many visits are under way at once; who comes next is told that it is slow.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final

from bailee.errors import UpstreamError
from bailee.outbound.network import HttpResponse, Network, NoAnswer

SECONDS: Final = 10.0
_LARGEST: Final = 1 << 20
_AT_ONCE: Final = 4


class Visit:
    """What is asked of one provider until its time is over. One thread's alone."""

    def __init__(self, network: Network, seconds: float) -> None:
        self._network = network
        self._until = time.monotonic() + seconds

    @property
    def over(self) -> bool:
        """Whether its time is over."""
        return time.monotonic() >= self._until

    def ask(
        self,
        method: str,
        url: str,
        *,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> HttpResponse:
        """The provider's answer, whatever its status.

        Raises:
            UpstreamError: there is none, or none in what is left of the time.
        """
        try:
            return self._network.ask(
                method,
                url,
                content=content,
                headers=headers,
                what="the provider's address",
                seconds=max(0.0, self._until - time.monotonic()),
                largest=_LARGEST,
            )
        except NoAnswer as error:
            raise UpstreamError(
                f"the organisation's provider can't be reached ({error}).", hint="try again later"
            ) from None


class Visits:
    """The visits to providers that are under way, counted by provider.

    `ProviderSignIn` owns it; called from any thread that may wait for another's server. It never
    keeps an answer.
    """

    def __init__(
        self,
        at_once: int = _AT_ONCE,
        seconds: float = SECONDS,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        """`at_once`: to one provider; `seconds`: for all of a visit; `environment`: says how to
        get out.
        """
        self._at_once = at_once
        self._seconds = seconds
        self._environment = environment
        self._lock = threading.Lock()  # whenever `_under_way` is read or changed
        self._under_way: Counter[str] = Counter()

    @contextlib.contextmanager
    def to(self, provider: str) -> Iterator[Visit]:
        """A visit to a provider: what is asked by it ends in time.

        Raises:
            UpstreamError: `upstream_timeout`, too many wait for it, or its time was over.
        """
        with self._lock:
            if self._under_way[provider] >= self._at_once:
                raise _slow()
            self._under_way[provider] += 1
        visit = Visit(Network.of(self._environment), self._seconds)
        try:
            yield visit
        except UpstreamError as error:
            raise (_slow() if visit.over else error) from error
        finally:
            with self._lock:
                self._under_way[provider] -= 1
                if not self._under_way[provider]:
                    del self._under_way[provider]


def _slow() -> UpstreamError:
    return UpstreamError(
        "the organisation's provider is slow.",
        code="upstream_timeout",
        hint="try again in a minute",
    )
