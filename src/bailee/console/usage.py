"""The pages of what was used of models: a person's own, an organisation's, and everybody's.

Rows: O2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final, TypeVar

from starlette.responses import RedirectResponse, Response

from bailee.console import plots
from bailee.console.asking import Ask
from bailee.console.frame import PageTemplates, drawn
from bailee.console.owners import called
from bailee.console.parts import Parts
from bailee.console.plots import PlotWords
from bailee.errors import InputError
from bailee.money import micro
from bailee.operations import increases, usage
from bailee.operations.increases import IncreaseSummary
from bailee.operations.usage import LimitSummary, UsageReport
from bailee.usage.counts import UsageRow
from bailee.usage.increase import SPANS
from bailee.usage.limits import (
    BY_ADMINS,
    UNLIMITED,
    LimitMeasure,
    LimitSpan,
    Scope,
    UsageLimit,
)

Named = TypeVar("Named", bound=StrEnum)
_DIGITS: Final = 15  # of an amount
_MOST_WAITING: Final = 100  # requests for more on a page, and
_NEWEST: Final = 20  # decided ones

_WHERE: Final = ("channel", "upstream", "key")
_BY: Final[Mapping[str, Sequence[str]]] = {
    "own": ("day", "model", "client", "channel", "key"),
    "organisation": ("day", "person", "model", "client", "channel", "key"),
    "everybody": ("day", "person", "organisation", "model", "client", *_WHERE),
}
"""By what each page can be asked for; the first unless one is named."""


class UsagePages:
    """The handlers of usage, each of which takes an `Ask`. The site calls them on its worker
    threads, several at once. It keeps nothing between requests; all it shows comes from operations.
    """

    def __init__(self, parts: Parts, frame: PageTemplates) -> None:
        self._do = parts.do
        self._node = parts.node
        self._registry = parts.node.registry
        self._frame = frame

    def page(self, ask: Ask) -> Response:
        """What who asks has used this month; of the operator, what everybody has."""
        return self._shown(ask, None, "everybody" if ask.visitor.operator else "own")

    def organisation(self, ask: Ask) -> Response:
        """What an organisation's people have used."""
        return self._shown(ask, ask.path["organisation"], "organisation")

    def limit(self, ask: Ask) -> Response:
        """Set a limit, in the place of the one on the same."""
        try:
            measure, span = _limited(ask)
            self._do(
                ask,
                usage.limit,
                measure,
                _amount(ask, measure),
                per=span,
                of=ask.form.get("of", "").strip() or None,
            )
        except InputError as error:
            return self._shown(ask, None, "everybody", error)
        return RedirectResponse("/usage", 303)

    def unlimit(self, ask: Ask) -> Response:
        """Take one away."""
        self._do(ask, usage.unlimit, ask.given("limit"))
        return RedirectResponse("/usage", 303)

    def limit_members(self, ask: Ask) -> Response:
        """Set what each member of an organisation, each of a team of it, or one of them, may use,
        or what a team shares, in the place of the limit on the same.
        """
        of, named = ask.path["organisation"], ask.form.get("of", "").strip()
        pool = ask.form.get("pool") == "yes"
        one = named if not pool and ("@" in named or named.startswith("per_")) else None
        try:
            measure, span = _limited(ask)
            self._do(
                ask,
                usage.limit,
                measure,
                UNLIMITED if ask.form.get("unlimited") == "yes" else _amount(ask, measure),
                per=span,
                of=f"{of}/{named}" if named and one is None else of,
                each=one is None and not pool,
                member=one,
                pool=pool,
            )
        except InputError as error:
            return self._shown(ask, of, "organisation", error)
        return RedirectResponse(_address(of), 303)

    def unlimit_members(self, ask: Ask) -> Response:
        """Take one of these away."""
        self._do(ask, usage.unlimit, ask.given("limit"))
        return RedirectResponse(_address(ask.path["organisation"]), 303)

    def ask_for_more(self, ask: Ask) -> Response:
        """Ask for more than one of one's own limits in an organisation."""
        try:
            of, _, span = ask.given("beyond").partition("/")
            per = next((one for one in SPANS if one == span), None)
            if per is None:
                raise InputError(ask.words("form.missing", field="beyond"))
            self._do(ask, increases.ask, micro(ask.given("enough")), per=per, organisation=of)
        except InputError as error:
            return self._shown(ask, None, "everybody" if ask.visitor.operator else "own", error)
        return RedirectResponse("/usage#more", 303)

    def approve(self, ask: Ask) -> Response:
        """Grant a request for more."""
        of = ask.path["organisation"]
        try:
            amount, request = micro(ask.given("granted")), self._asked_in(ask, of)
            span = _one_of(ask, LimitSpan, "granted_per")
            self._do(ask, increases.approve, request, amount, per=span)
        except InputError as error:
            return self._shown(ask, of, "organisation", error)
        return RedirectResponse(_address(of) + "#more", 303)

    def deny(self, ask: Ask) -> Response:
        """Deny one."""
        of = ask.path["organisation"]
        try:
            self._do(ask, increases.deny, self._asked_in(ask, of))
        except InputError as error:
            return self._shown(ask, of, "organisation", error)
        return RedirectResponse(_address(of) + "#more", 303)

    def _asked_in(self, ask: Ask, of: str) -> str:
        """The request that a form names, among those that wait in an organisation."""
        named = ask.given("request")
        if all(one.id != named for one in self._waiting(ask, of)):
            raise InputError(ask.words("usage.more_gone"), code="changed_meanwhile")
        return named

    def _waiting(self, ask: Ask, of: str) -> Sequence[IncreaseSummary]:
        return self._do(ask, increases.list_, of, limit=_MOST_WAITING, pending=True).items

    def _more(self, ask: Ask, of: str | None) -> dict[str, object]:
        """What is asked for beyond limits: in an organisation, or by whoever asks, with the limits
        beyond which they can. Who decided is named to those alone who are in the organisation, too.
        """
        me, asked, ids = ask.visitor.person, list[IncreaseSummary](), set[str]()
        beyond: list[tuple[str, str, UsageLimit]] = []
        if of is not None:
            newest = self._do(ask, increases.list_, of, limit=_NEWEST).items
            asked = [*self._waiting(ask, of), *(one for one in newest if one.decided)]
            members = self._registry.organisations.members(of)
            ids = {one.person for one in asked} | {one.decided_by or "" for one in asked}
            ids &= {one.person_id for one in members}
        elif me is not None:
            asked = self._do(ask, increases.list_).items
            ids = {one.organisation for one in asked}
            waits = {one.organisation for one in asked if one.decided is None}
            beyond = [
                (f"{place.organisation}/{one.limit.span}", place.name, one.limit)
                for place in me.memberships
                if place.organisation not in waits
                for one in increases.standings(self._node, place.organisation, me.person, ask.now)
            ]
        names = called(self._registry, ids)
        return {"asked": asked, "beyond": beyond, "names": names, "spans": SPANS}

    def _shown(
        self, ask: Ask, of: str | None, whose: str, error: InputError | None = None
    ) -> Response:
        choices, by = _BY[whose], grouped_by(ask, whose)
        found = self._do(ask, usage.show, by=(by,), of=of)
        names = called(self._registry, (row.group[by] for row in found.rows))
        limits = self._do(ask, usage.limits, of)
        return self._frame.page(
            ask,
            "usage.html",
            200 if error is None else error.http_status,
            here="usage",
            problem=None if error is None else ask.words.of_error(error),
            given=ask.form,
            measures=list(LimitMeasure),
            spans=[one for one in LimitSpan if one is not LimitSpan.NOW],
            whose=whose,
            address_of=_address(of),
            sets=None if whose == "own" else _limits_address(of),
            by_admins=list(BY_ADMINS),
            by=by,
            choices=choices,
            found=found,
            total=_total(found),
            limits=limits,
            picture=_picture(ask, found, by, names),
            names=names,
            subjects=self._called(limits),
            more=self._more(ask, of),
            waiting=self._waiting_for(ask) if of is None else [],
            increases_at=f"/organisations/{of}/increases",
        )

    def _waiting_for(self, ask: Ask) -> list[tuple[str, str, int]]:
        """Where requests for more wait for who asks: an organisation's id, name, and how many."""
        found = self._do(ask, increases.waiting)
        names = called(self._registry, found)
        return [(one, names.get(one, one), count) for one, count in found.items()]

    def _called(self, limits: Sequence[LimitSummary]) -> dict[str, str]:
        """By limits' ids, what those are called that they are on; an id where nobody knows."""
        parts = {one.id: one.subject.partition("/") for one in limits}
        ids = {first for first, _, _ in parts.values()}
        ids |= {parts[one.id][2] for one in limits if one.scope == Scope.MEMBER}
        names = called(self._registry, ids)
        found = {}
        for one in limits:
            first, slash, rest = parts[one.id]
            last = names.get(rest, rest) if one.scope == Scope.MEMBER else rest
            found[one.id] = names.get(first, first) + slash + last
        return found


def grouped_by(ask: Ask, whose: str) -> str:
    """By what a page of usage was asked for, or else the first that it can be asked for by."""
    by = ask.query.get("by", "")
    return by if by in _BY[whose] else _BY[whose][0]


def _address(of: str | None) -> str:
    return "/usage" if of is None else f"/organisations/{of}/usage"


def _limits_address(of: str | None) -> str:
    return "/usage/limits" if of is None else f"/organisations/{of}/limits"


def _limited(ask: Ask) -> tuple[LimitMeasure, LimitSpan]:
    """What a form limits, and in which time: concurrency at each moment, whatever time is given."""
    measure = _one_of(ask, LimitMeasure, "measure")
    at_once = measure is LimitMeasure.CONCURRENCY
    return measure, LimitSpan.NOW if at_once else _one_of(ask, LimitSpan, "per")


def _one_of(ask: Ask, kind: type[Named], name: str) -> Named:
    """A form's field that is one of several."""
    given = ask.given(name)
    found = next((one for one in kind if one == given), None)
    if found is None:
        raise InputError(ask.words("form.missing", field=name))
    return found


def _amount(ask: Ask, measure: LimitMeasure) -> int:
    """What was written as an amount: of money in dollars, of all else whole."""
    given = ask.given("amount").strip()
    if measure is LimitMeasure.MONEY:
        return micro(given)
    if not given.isascii() or not given.isdecimal() or len(given) > _DIGITS:
        raise InputError(ask.words("usage.no_amount"))
    return int(given)


def _total(found: UsageReport) -> Mapping[str, int]:
    names = ("requests", "refused", "errors", "cost_micro_usd", "unpriced", "estimated")
    sums = {name: sum(int(getattr(row, name)) for row in found.rows) for name in names}
    return sums | {"tokens": sum(map(_tokens, found.rows))}


def _tokens(row: UsageRow) -> int:
    return (
        row.input_tokens
        + row.output_tokens
        + row.cache_read_tokens
        + row.cache_write_5m_tokens
        + row.cache_write_1h_tokens
    )


def _picture(ask: Ask, found: UsageReport, by: str, names: Mapping[str, str]) -> object:
    words = ask.words
    said = PlotWords("usage", words("usage.picture"), words("usage.picture_what"))
    none = words("usage.nobody")
    amounts: dict[str, float] = {}
    for row in found.rows:
        name = names.get(row.group[by], row.group[by]) or none
        amounts[name] = amounts.get(name, 0.0) + _tokens(row)  # two may have one name
    return drawn(plots.bars(amounts, said))
