"""How far settings may go: the part of a document's format. Pure.

A setting is one machine's, and a document is what people are told. Where a setting decides for how
long what was destroyed can be opened, where measurements go, or within which time somebody is
answered, the document says how far it may go (`[[bound]]`).

Rules kept here:

* A bound opens nothing: a setting that goes less far holds as it is, one that goes further holds as
  far as the bound.
* There is one of each at the most. Without one a setting goes as far as the software lets it.
* A time of keys is whole hours or days. Of two times by the calendar the one holds that ends first.
* What an agent on a person's machine fetches and starts is bounded by hosts. The document can't be
  asked there: the settings that are compiled from it say so, with the clause (`managed`).
* A size is whole MiB. A setting of 0 is no limit, so every bound is the stricter one.
* What an organisation uses in a day or a month (UTC) is bounded by an amount, and which models its
  people ask by names. There they hold by themselves, whether or not somebody set a limit or a list.

Rows: O2, P1, R5, R6, S1, S2.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence, Set
from typing import Final, NamedTuple

from bailee.errors import InputError
from bailee.policy import period as periods
from bailee.policy.document import Document, SettingBound
from bailee.policy.reading import Table

STORE: Final = "store"
"""Kept by the server itself."""
ONWARD: Final = "onward"
"""Passed on to an address that a setting names."""
PLACES: Final = (STORE, ONWARD)
"""Where measurements can go."""

METRICS: Final = "metrics"
ERRORS: Final = "errors"
OLD_KEYS: Final = "old_keys"
"""For how long an older copy of the keyring opens what was destroyed since."""
KEY_SNAPSHOTS: Final = "key_snapshots"
"""For how long a snapshot of the keyring lives that a backup takes."""
ANSWERS: Final = "answers"
"""Within which time a person's request about their own data is to be answered."""
FURTHER: Final = "answers_further"
"""By how much that can be put off."""

STORED: Final = "stored"
"""How much of an account's sessions is kept on disk."""
STORED_MEASUREMENTS: Final = "stored_measurements"
"""How much of its metrics and errors."""
STORED_REPORTS: Final = "stored_reports"
"""How much of its reports."""

WEB_PAGES: Final = "web_pages"
"""Of which hosts an agent on a person's machine fetches pages."""
MCP_SERVERS: Final = "mcp_servers"
"""Which MCP servers it has: those at which hosts, and whether programs."""
PROGRAMS: Final = "programs"
"""MCP servers that are programs on the person's machine."""
ANY: Final = "*"
"""All hosts."""
AGENT_SETTING_OF: Final[Mapping[str, str]] = {WEB_PAGES: "webFetch", MCP_SERVERS: "mcpServers"}
"""What is bounded on people's machines, and the setting of `bailee code` that decides it."""

LIMITED: Final[Mapping[str, tuple[str, str]]] = {
    f"{measure}_per_{span}": (measure, span)
    for measure in ("money", "tokens", "requests")
    for span in ("day", "month")
}
"""What an organisation uses at the most: of what, and in which time."""
MODELS: Final = "models"
"""Which models are asked for an organisation: those that `only` names, none that `deny` does."""
USE_SETTING_OF: Final[Mapping[str, str]] = {
    **dict.fromkeys(LIMITED, "bailee limits set"),
    MODELS: "bailee limits allow",
}
"""What is bounded of an organisation's use, and the command that sets it."""

VENDOR: Final = "state.vendors-get-nothing"
"""The statement that what an agent sends its own vendor is turned off."""
NO_CONTENT: Final = "state.telemetry-encryption"
"""The statement that metrics and errors carry no content."""
STATEMENTS: Final = (VENDOR, NO_CONTENT)
"""Those by which other agents on people's machines are started."""

SETTING_OF: Final[Mapping[str, str]] = {
    METRICS: "telemetry.metrics",
    ERRORS: "telemetry.errors",
    OLD_KEYS: "retention.shred_hours",
    KEY_SNAPSHOTS: "backup.keys_hours",
    ANSWERS: "requests.period",
    FURTHER: "requests.further_period",
    STORED: "gateway.stored_per_account_mb",
    STORED_MEASUREMENTS: "telemetry.stored_per_account_mb",
    STORED_REPORTS: "feedback.stored_per_account_mb",
}
"""What can be bounded on a server, and the setting that decides it."""
EVERY: Final = (*SETTING_OF, *AGENT_SETTING_OF, *USE_SETTING_OF)
"""All that can be bounded."""

MEASURED: Final = (METRICS, ERRORS)
"""What is bounded by places; an organisation's own document can bound it too, for its people."""
_OF_KEYS: Final = (OLD_KEYS, KEY_SNAPSHOTS)
SIZES: Final = (STORED, STORED_MEASUREMENTS, STORED_REPORTS)
"""What is bounded by a size. A setting of 0 is none, so it goes further than any."""
_SIZE: Final = re.compile(r"([1-9][0-9]{0,8}) MiB", re.ASCII)
_AMOUNT: Final[Mapping[str, re.Pattern[str]]] = {
    "money": re.compile(r"((?!0+(?:\.0+)? )[0-9]{1,9})(?:\.([0-9]{2}))? USD", re.ASCII),
    "tokens": re.compile(r"([1-9][0-9]{0,14}) tokens", re.ASCII),
    "requests": re.compile(r"([1-9][0-9]{0,14}) requests", re.ASCII),
}
_SUCH: Final = {"money": "250 USD", "tokens": "5000000 tokens", "requests": "10000 requests"}
_MODEL: Final = re.compile(r"[a-z0-9][a-z0-9._:/@-]{0,98}\*?|\*", re.ASCII)
_MOST_MODELS: Final = 100
_MOST_HOSTS: Final = 100
_MOST_HOURS: Final = 366 * 24
_HOURS: Final = re.compile(r"PT([1-9][0-9]{0,4})H", re.ASCII)


class Bounded(NamedTuple):
    """What a bound is `of`; and of a time, a size or an amount how much it is `at_most`, of a place
    or of models which `only`, and of models which not (`deny`).
    """

    of: str
    at_most: str | None
    only: tuple[str, ...] | None
    deny: tuple[str, ...] = ()


def bounded(table: Table, among: Collection[str] = EVERY) -> Bounded:
    """What a bound says, of one of `among`.

    Raises:
        Unsound: it bounds nothing, or by what is no bound.
    """
    of = table.one_of("of", among)
    if of in AGENT_SETTING_OF:
        return Bounded(of, None, _reached(table, of))
    if of == MODELS:
        return _models(table)
    if of in MEASURED:
        only = table.texts("only", some=False)
        for one in only:
            if one not in PLACES:
                table.refuse(
                    "only", f"{one!r} is nowhere that {of} go.", f"there are {', '.join(PLACES)}"
                )
        return Bounded(of, None, only)
    text = table.text("at_most")
    if of in LIMITED:
        measure = LIMITED[of][0]
        if _AMOUNT[measure].fullmatch(text) is None:
            table.refuse(
                "at_most", f"{text[:80]!r} is no amount of {measure}.", f"such as {_SUCH[measure]}"
            )
        return Bounded(of, text, None)
    if of in SIZES:
        if _SIZE.fullmatch(text) is None:
            table.refuse("at_most", f"{text!r} is no size.", "such as 4096 MiB")
        return Bounded(of, text, None)
    try:
        hours = hours_of(text) if of in _OF_KEYS else 24 * periods.parse(text).longest_days
    except InputError as error:
        table.refuse("at_most", error.message, error.hint)
    if not 0 < hours <= _MOST_HOURS:
        table.refuse("at_most", f"{text} is no time, or over a year.", "such as P1D")
    return Bounded(of, text, None)


def _models(table: Table) -> Bounded:
    """Names of models, of which one with `*` at its end is all that begin so."""
    only = table.texts("only", some=False) if table.has("only") else None
    deny = table.texts("deny") if table.has("deny") else ()
    if only is None and not deny:
        table.refuse(None, "This bounds no models.", 'only = ["claude-*"], or deny = ["name"]')
    for key, names in (("only", only or ()), ("deny", deny)):
        if len(names) > _MOST_MODELS:
            table.refuse(key, f"There are more than {_MOST_MODELS} names.", "claude-* is all of it")
        for one in names:
            if _MODEL.fullmatch(one) is None:
                table.refuse(key, f"{one[:80]!r} is no name of a model.", "like claude-haiku-*")
    return Bounded(MODELS, None, only, deny)


def _reached(table: Table, of: str) -> tuple[str, ...]:
    """What an agent reaches: hosts, all of them, and of servers programs."""
    from bailee.policy.network import is_host  # here: the shipped documents have none

    only = table.texts("only", some=False)
    if len(only) > _MOST_HOSTS:
        table.refuse("only", f"There are more than {_MOST_HOSTS} hosts.", "*.host is all below it")
    for one in only:
        if one != ANY and not (one == PROGRAMS and of == MCP_SERVERS) and not is_host(one):
            table.refuse(
                "only", f"{one[:80]!r} is no host.", 'write host or *.host, in lower case, or "*"'
            )
    return only


def lets(only: Collection[str], host: str) -> bool:
    """Whether a host is one of those that a bound leaves: itself, one below a `*.host`, or any.

    >>> lets(("*.example.com",), "docs.example.com"), lets(("*.example.com",), "example.com")
    (True, False)
    """
    name = host.lower().rstrip(".")
    return ANY in only or any(
        name.endswith(one[1:]) if one.startswith("*.") else name == one for one in only
    )


def setting_of(of: str) -> str:
    """The setting that decides what is bounded."""
    return SETTING_OF.get(of) or AGENT_SETTING_OF.get(of) or USE_SETTING_OF[of]


def hours_of(text: str) -> int:
    """The hours of a time of keys: `PTnH`, or `PnD`.

    >>> hours_of("PT24H"), hours_of("P14D")
    (24, 336)

    Raises:
        InputError: anything else.
    """
    if found := _HOURS.fullmatch(text):
        return int(found[1])
    period = periods.parse(text)
    if period.unit != "D":
        raise InputError(f"{text} is not in hours or days.", hint="write PT24H, or P14D")
    return period.count * 24


def places(document: Document, of: str, own: Sequence[SettingBound] = ()) -> tuple[str, ...]:
    """Where measurements may go, of `PLACES`. `own`: an organisation's bounds, which can only leave
    less.
    """
    bounds = [one for one in (document.bound(of), *own) if one is not None and one.of == of]
    listed = [one.only for one in bounds if one.only is not None]
    return tuple(place for place in PLACES if all(place in only for only in listed))


def hours(document: Document, of: str, setting: int) -> int:
    """The hours that a setting has, or those of the bound, whichever are fewer."""
    bound = document.bound(of)
    if bound is None or bound.at_most is None:
        return setting
    return min(setting, hours_of(bound.at_most))


def mib_of(text: str) -> int:
    """The MiB of a size that a document has taken.

    >>> mib_of("4096 MiB")
    4096
    """
    return int(text.removesuffix(" MiB"))


def amount_of(of: str, at_most: str) -> int:
    """An amount that a document has taken: of money micro-USD, else tokens or requests.

    >>> amount_of("money_per_day", "12.50 USD"), amount_of("tokens_per_month", "5000 tokens")
    (12500000, 5000)
    """
    found = _AMOUNT[LIMITED[of][0]].fullmatch(at_most)
    assert found is not None
    if LIMITED[of][0] != "money":
        return int(found[1])
    return (int(found[1]) * 100 + int(found[2] or 0)) * 10_000


def mib(document: Document, of: str, setting: int, own: Sequence[SettingBound] = ()) -> int:
    """The MiB that a setting has, or those of a bound, whichever are fewest; 0: no limit. `own`: an
    organisation's bounds.
    """
    bounds = [one for one in (document.bound(of), *own) if one is not None and one.of == of]
    most = [mib_of(one.at_most) for one in bounds if one.at_most is not None]
    return min((one for one in (setting, *most) if one), default=0)


def times(document: Document, of: str, setting: str) -> tuple[str, ...]:
    """The ISO 8601 periods of a setting and of the bound, if any: what ends first holds."""
    bound = document.bound(of)
    return (setting,) if bound is None or bound.at_most is None else (setting, bound.at_most)


def exceeds(bound: SettingBound, setting: str | int) -> bool:
    """Whether a setting goes further than a bound. A setting that nobody can read does not."""
    if bound.only is not None:
        return not named(str(setting)) <= {*bound.only}
    if bound.at_most is None:
        return False
    if bound.of in SIZES:
        return setting == 0 or int(setting) > mib_of(bound.at_most)
    if isinstance(setting, int):
        return setting > hours_of(bound.at_most)
    try:
        return periods.parse(setting).longest_days > periods.parse(bound.at_most).longest_days
    except InputError:
        return False


def named(setting: str) -> Set[str]:
    """Where a setting has measurements go, of `PLACES`."""
    words = {*setting.split()} - {"none"}
    onward = {ONWARD} if words - {STORE} else set[str]()
    return onward | (words & {STORE})
