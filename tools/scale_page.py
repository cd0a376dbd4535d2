"""The page about sizes past one machine: reckoned from what the benchmarks measured last.

Every cost is read from `bench/results/last.json` by the name of its line, so that the page says
what was measured last, or is not made at all. What is assumed of a service stands in `Service`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

DAY: Final = 86_400.0
YEAR: Final = 365.25
EPOCHS_A_DAY: Final = 48
_WORDS_CHARACTERS: Final = 5_000.0  # of new text in a turn of the session that `vault` has
_SEGMENT: Final = float(8 << 20)
_WORD_SHARE: Final = 0.2
"""Of a processor: what is made of words takes no more (`app/word_maker.py`)."""


@dataclass(frozen=True, slots=True)
class Service:
    """What is assumed of a service that has so many sessions a day. `busiest`: how many times the
    mean its busiest hour has; `five_years`: the part of sessions that is kept for five years, the
    others for 30 days; `deleted`: the part that somebody deletes before its time.
    """

    sessions: float
    turns: float = 20
    events: float = 200
    busiest: float = 3
    five_years: float = 0.5
    deleted: float = 0.001

    @property
    def living(self) -> float:
        """Sessions that are kept at one time, once as many go as come."""
        return self.sessions * (self.five_years * 5 * YEAR + (1 - self.five_years) * 30)

    @property
    def epochs(self) -> float:
        """Keys of epochs at one time."""
        return EPOCHS_A_DAY * (5 * YEAR + 30)

    @property
    def turns_a_second(self) -> float:
        """In the mean."""
        return self.sessions * self.turns / DAY


@dataclass(frozen=True, slots=True)
class Cost:
    """What one of something takes, and where that was measured. `value` in seconds of a processor,
    in bytes, or as it says.
    """

    what: str
    value: float
    shown: str
    benchmark: str
    line: str


class Costs:
    """The measured costs, each read once from the last runs.

    Raises:
        LookupError: a benchmark has no such line any more.
    """

    def __init__(self, runs: dict[str, dict[str, list[list[str]]]]) -> None:
        self._runs = runs
        self.read: list[Cost] = []
        us, ms = 1e-6, 1e-3
        self.request = self._cost(
            "a request of 120 KB at the gateway, kept, in seconds of a processor",
            "gateway",
            "120 KB request, 16 connections: recording, in Python",
            r"([\d,]+) µs of processor",
            us,
        )
        burst = self._cost(
            "50 events at the gateway, kept, with their request",
            "gateway",
            "50 deltas in a burst, 16 connections: recording, in Python",
            r"([\d,]+) µs of processor",
            us,
        )
        small = self._cost(
            "the same with an answer in one piece",
            "gateway",
            "small, 64 connections: recording, in Python",
            r"([\d,]+) µs of processor",
            us,
        )
        self.event = (burst - small) / 50
        self.sealing = self._cost(
            "sealing a turn of a coding session",
            "vault",
            "sealing that session",
            r"([\d.]+) ms of processor",
            ms,
            against=True,
        )
        self.words = self._cost(
            "making what a turn is found by, of its characters",
            "searching",
            "the words of an exchange of N characters",
            r"([\d.]+) ms of processor",
            ms * _WORDS_CHARACTERS,
        )
        self.due = self._cost(
            "destroying what is due, a session",
            "retention",
            "sweep of 14,501 due, its rotation too",
            r"([\d.]+) ms of processor each",
            ms,
            against=True,
        )
        self.rewrap = self._cost(
            "wrapping sessions' keys anew",
            "shred",
            "the same, one under each of 1,392 KEKs",
            r"\(([\d.]+) s of processor\), ([\d,]+) wrapped anew",
            1,
        )
        self.kek = self._cost(
            "an epoch's key wrapped under a new root",
            "units",
            "an epoch's key wrapped under a new root",
            r"([\d,]+) µs",
            us,
        )
        line = "entries of the audit record, of each epoch that ended and each deletion"
        self.entries = self._cost(line, "years", line, r"^([\d.]+)", 1)
        self.segment = self._bytes("a turn of a coding session: its segment")
        self.rows = self._bytes("a turn of a coding session: its rows")
        self.session_rows = self._bytes("a new session: its rows")
        self.found_by = self._bytes("a turn of a coding session: what finds its session")
        self.written = self._bytes("a turn of a coding session: written to disk")
        self.key_row = self._bytes("a session's key")
        self.kek_row = self._bytes("an epoch's key")
        self.entry = self._bytes("an entry of the audit record: its rows") + self._bytes(
            "an entry of the audit record: its files"
        )

    def _bytes(self, line: str) -> float:
        return self._cost(line, "units", line, r"([\d,]+) bytes", 1)

    def _cost(
        self,
        what: str,
        benchmark: str,
        line: str,
        pattern: str,
        unit: float,
        *,
        against: bool = False,
    ) -> float:
        """`line`: the whole of it; where it has an `N`, that is how many the figure is of, as is a
        second figure of the `pattern`.
        """
        named = re.compile(r" ([\d,]+) ".join(map(re.escape, line.split(" N "))))
        for measured, result, beside in self._runs.get(benchmark, {}).get("lines", []):
            of = named.fullmatch(measured.strip())
            if of and (found := re.search(pattern, beside if against else result)):
                first, *many = (
                    float(one.replace(",", "")) for one in (*found.groups(), *of.groups())
                )
                value = first * unit / (many[0] if many else 1)
                self.read.append(Cost(what, value, found[0].lstrip("(; "), benchmark, of[0]))
                return value
        raise LookupError(f"the benchmark {benchmark} says nothing of: {line}")


@dataclass(frozen=True, slots=True)
class Needs:
    """What a service needs, at one moment of its steady state."""

    service: Service
    costs: Costs

    @property
    def gateway_cores(self) -> float:
        """In the busiest hour."""
        each = self.costs.request + self.service.events * self.costs.event
        return self.service.turns_a_second * self.service.busiest * each

    @property
    def sealing_cores(self) -> float:
        """In the mean: what waits is on disk, and is sealed when less comes."""
        return self.service.turns_a_second * self.costs.sealing

    @property
    def word_cores(self) -> float:
        """In the mean."""
        return self.service.turns_a_second * self.costs.words

    @property
    def sweep_cores(self) -> float:
        """In the mean."""
        return self.service.sessions * self.costs.due / DAY

    @property
    def dirty(self) -> float:
        """Epochs' keys that a day's deletions have made anew, with all keys under each."""
        epochs, deletions = self.service.epochs, self.service.sessions * self.service.deleted
        return float(epochs * (1 - (1 - 1 / epochs) ** deletions))

    @property
    def rewrapped(self) -> float:
        """Sessions' keys that a day's rotation wraps anew."""
        return self.dirty * self.service.living / self.service.epochs

    @property
    def rotation_seconds(self) -> float:
        """Of a processor, of one rotation a day."""
        return self.rewrapped * self.costs.rewrap + self.service.epochs * self.costs.kek

    @property
    def segment_bytes(self) -> float:
        """In the object store, or its folder."""
        return self.service.living * self.service.turns * self.costs.segment

    @property
    def index_bytes(self) -> float:
        """In the data database: rows, and what sessions are found by."""
        turns = self.service.turns * self.costs.rows
        found_by = self.costs.found_by * self.service.turns / 50
        return self.service.living * (self.costs.session_rows + turns + found_by)

    @property
    def keyring_bytes(self) -> float:
        """In the keyring."""
        keys = self.service.living * self.costs.key_row
        return keys + self.service.epochs * self.costs.kek_row

    @property
    def written_a_second(self) -> float:
        """Bytes, in the busiest hour."""
        return self.service.turns_a_second * self.service.busiest * self.costs.written

    @property
    def objects(self) -> float:
        """Sealed segments of 8 MiB."""
        return self.segment_bytes / _SEGMENT

    @property
    def entries(self) -> float:
        """Of the audit record, a year: of each deletion, and of the epochs that end, of both
        periods.
        """
        ends = 2 * EPOCHS_A_DAY + self.service.sessions * self.service.deleted
        return self.costs.entries * ends * YEAR


@dataclass(frozen=True, slots=True)
class Limit:
    """Something that is full at some number of sessions a day. `used`: which part of it a service
    uses, 1.0 when it is full.
    """

    what: str
    used: Callable[[Needs], float]
    then: str


LIMITS: Final = (
    Limit(
        "what sessions are found by is made by a fifth of a processor",
        lambda needs: needs.word_cores / _WORD_SHARE,
        "New sessions are found by their words later and later, and at once by who lists them. The "
        "share would become a setting, then a process of its own.",
    ),
    Limit(
        "one sealer files in a day what comes in a day",
        lambda needs: needs.sealing_cores,
        "What waits reaches its bound, and who sends is answered 429. Sealers by the digest of the "
        "owner, each with an index of its own on PostgreSQL: sessions of two owners share nothing.",
    ),
    Limit(
        "one gateway's loop keeps up in the busiest hour",
        lambda needs: needs.gateway_cores,
        "Answers come later, then 429 and 529. Gateways share nothing but accounts and limits, "
        "which have to be known to each within seconds.",
    ),
    Limit(
        "a disk takes 200 MB/s in the busiest hour",
        lambda needs: needs.written_a_second / 200e6,
        "Each gateway has a disk of its own for its spool, of which the smallest fast one will do.",
    ),
    Limit(
        "sealed segments fit on a disk of 20 TB",
        lambda needs: needs.segment_bytes / 20e12,
        "They go to an object store, which is what they are made for: written once, read by "
        "ranges, deleted whole.",
    ),
    Limit(
        "the index fits on a disk of 4 TB",
        lambda needs: needs.index_bytes / 4e12,
        "Rows by owner on several databases. Nothing asks for sessions of all owners in one order "
        "but lists of the operator's.",
    ),
    Limit(
        "a shred cycle ends within an hour of a processor",
        lambda needs: needs.rotation_seconds / 3600,
        "A deletion has all keys of its epoch wrapped anew. More keys for one epoch, by the digest "
        "of the owner, make that smaller by their number, and everything else stays as it is.",
    ),
)


def most(used: Callable[[Needs], float], costs: Costs) -> float:
    """How many sessions a day fill something: to a thousandth, by halving."""
    least, large = 1.0, 1e12
    while large / least > 1.001:
        middle = (least * large) ** 0.5
        least, large = (
            (middle, large) if used(Needs(Service(middle), costs)) <= 1 else (least, middle)
        )
    return least


_HEAD: Final = """\
# Past one machine

What a million sessions a day need, and a hundred million, reckoned from what the benchmarks
measured; where the first limit is, and what comes after it. This page is made by
`tools/scale_page.py` from the [last measurements](reference/measurements.md): no figure is written
by hand, and none was seen on such a service. What was seen is ten years of retention in virtual
time, `make bench ARGS=years`.

bailee is one process today. What more of them take is said where it would be needed, and is not
there.
"""


def render(root: Path) -> str:
    """The page's text.

    Raises:
        LookupError: a measurement that it reckons with is not there.
    """
    costs = Costs(json.loads((root / "bench" / "results" / "last.json").read_text()))
    services = [Service(sessions) for sessions in (10_000.0, 1e6, 1e8)]
    return "\n".join(
        [_HEAD, *_assumed(), *_needed(services, costs), *_limits(costs), *_measured(costs)]
    )


def _assumed() -> Iterator[str]:
    one = Service(1)
    yield "## What is assumed\n"
    yield (
        f"A session has {one.turns:.0f} turns, as a coding agent makes them: each sends the whole "
        f"conversation again, 215 KB in the mean, and gets {one.events:.0f} events. Half of all "
        "sessions are kept for five years, half for 30 days, which is the most that the shipped "
        f"policy keeps. The busiest hour has {one.busiest:.0f} times the mean. Of a thousand "
        f"sessions {one.deleted * 1000:.0f} is deleted before its time. Figures of what is kept "
        "are of the sixth year and later, when as much goes as comes.\n"
    )


def _needed(services: list[Service], costs: Costs) -> Iterator[str]:
    every = [Needs(service, costs) for service in services]
    rows: list[tuple[str, Callable[[Needs], str]]] = [
        ("turns a second, in the mean", lambda one: _count(one.service.turns_a_second)),
        ("**cores** of gateways, busiest hour", lambda one: _small(one.gateway_cores)),
        ("of sealing", lambda one: _small(one.sealing_cores)),
        ("of what sessions are found by", lambda one: _small(one.word_cores)),
        ("of destroying what is due", lambda one: _small(one.sweep_cores)),
        ("of the shred cycle, once a day", lambda one: _small(one.rotation_seconds / DAY)),
        ("**written to disk**, busiest hour", lambda one: f"{_size(one.written_a_second)}/s"),
        ("**kept**: sessions at one time", lambda one: _count(one.service.living)),
        ("segments", lambda one: _size(one.segment_bytes)),
        ("as objects of 8 MiB", lambda one: _count(one.objects)),
        ("index", lambda one: _size(one.index_bytes)),
        ("**keys** of sessions", lambda one: _count(one.service.living)),
        ("of epochs", lambda one: _count(one.service.epochs)),
        ("keyring", lambda one: _size(one.keyring_bytes)),
        (
            "**ids that are gone**, digests more each year",
            lambda one: _count(one.service.sessions * YEAR),
        ),
        ("wrapped anew by a day's shred cycle", lambda one: _count(one.rewrapped)),
        ("**root generations** a year, in files", lambda _: "365"),
        ("on PostgreSQL, at most", lambda _: _count(4 * 24 * YEAR)),
        (
            "of it, calls of a root's service a day",
            lambda one: _count(4 * 24 * one.service.epochs),
        ),
        ("**entries** of the audit record, a year", lambda one: _count(one.entries)),
        ("their bytes", lambda one: _size(one.entries * costs.entry)),
    ]
    yield "## What it needs\n"
    yield f"| | {' | '.join(f'{_count(one.sessions)} a day' for one in services)} |"
    yield f"|---|{'---|' * len(services)}"
    for what, shown in rows:
        yield f"| {what} | {' | '.join(shown(one) for one in every)} |"
    yield ""


def _limits(costs: Costs) -> Iterator[str]:
    found = sorted((most(limit.used, costs), limit) for limit in LIMITS)
    yield "## Where the limits are\n"
    yield (
        f"The first is at {_count(found[0][0])} sessions a day: {found[0][1].what}. All of them, "
        "by how many sessions a day fill them:\n"
    )
    yield "| holds until, a day | what | then |"
    yield "|---|---|---|"
    for sessions, limit in found:
        yield f"| {_count(sessions)} | {limit.what} | {limit.then} |"
    yield ""


def _measured(costs: Costs) -> Iterator[str]:
    yield "## What it reckons with\n"
    yield "| what | measured | by `make bench ARGS=` |"
    yield "|---|---|---|"
    for cost in costs.read:
        yield f"| {cost.what} | {cost.shown} | `{cost.benchmark}`: {cost.line} |"
    yield ""


def _count(number: float) -> str:
    """To two or three digits, in words from a million on."""
    for size, name in ((1e12, "trillion"), (1e9, "billion"), (1e6, "million")):
        if number >= size:
            return f"{number / size:.3g} {name}"
    return f"{float(f'{number:.3g}'):,.0f}" if number >= 10 else f"{number:.2g}"


def _small(cores: float) -> str:
    if cores < 0.01:
        return "under 0.01"
    return _count(cores) if cores >= 10 else f"{cores:.2g}"


def _size(number: float) -> str:
    for size, name in ((1e15, "PB"), (1e12, "TB"), (1e9, "GB"), (1e6, "MB")):
        if number >= size:
            return f"{number / size:.3g} {name}"
    return f"{number / 1e3:.3g} KB"
