"""Views: what a list is asked for, under a name of whoever saved it; and in which order it comes.

Rules kept here:

* `LISTS` says of which lists there are views, at which address each is, who may open it, and by
  which names its address asks. A view is of one of these; nothing else can be saved, and nobody is
  sent anywhere but to one of these addresses.
* What was saved is read again each time it is shown, as the list reads its address. What the list
  no longer knows is said to be so, and leads nowhere.

Rows: T2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, urlencode

from starlette.responses import RedirectResponse, Response

from bailee.accounts.saved_views import SavedView
from bailee.console.asking import Ask
from bailee.console.parts import Parts
from bailee.console.visitor import Admission, RouteRule, admits
from bailee.db.pages import Order
from bailee.errors import InputError

_LONGEST_VALUE: Final = 200
_ORDER: Final = "order"


@dataclass(frozen=True, slots=True)
class ViewedList:
    """A list that has views: its address, who may open that, and by which names it asks. `at`:
    where on the page the list stands.
    """

    path: str
    rule: RouteRule
    names: tuple[str, ...]
    at: str = ""

    def address(self, asked: Mapping[str, str]) -> str:
        """The list's address, asked for this."""
        return self.path + (f"?{urlencode(asked)}" if asked else "") + self.at


LISTS: Final[Mapping[str, ViewedList]] = {
    "own-sessions": ViewedList("/settings/privacy", RouteRule.PERSON, (_ORDER,), "#sessions"),
    "sessions": ViewedList("/admin/sessions", RouteRule.OPERATOR, ("account", _ORDER)),
    "people": ViewedList("/admin/people", RouteRule.OPERATOR, ("q", _ORDER)),
    "audit": ViewedList("/admin/audit", RouteRule.EVIDENCE, ("kind", "subject")),
}


@dataclass(frozen=True, slots=True)
class ShownView:
    """A view above its list. `address`: None, the list can't be asked for this any more. `here`: it
    is what is on the page.
    """

    view: str
    name: str
    address: str | None
    here: bool


def order_of(ask: Ask, usual: Order) -> Order:
    """The order that a list's address asks for.

    Raises:
        InputError: there is no such order.
    """
    try:
        return Order(ask.query.get(_ORDER) or usual)
    except ValueError:
        raise InputError(ask.words("views.no_order")) from None


def asked_of(name: str, query: Mapping[str, str]) -> dict[str, str]:
    """What of an address's query is asked of a list, without what is not set."""
    given = ((one, query.get(one, "").strip()) for one in LISTS[name].names)
    return {one: value for one, value in given if value}


def views_of(parts: Parts, ask: Ask, name: str) -> list[ShownView]:
    """The visitor's views of a list."""
    now = asked_of(name, ask.query)
    found = parts.node.registry.saved_views.of(_whose(ask))
    return [_shown(name, one, now) for one in found if one.list_ == name]


class ViewForms:
    """The handlers of saving a view and deleting one, each of which takes an `Ask`. The site calls
    them on its worker threads, several at once. It keeps nothing between requests.
    """

    def __init__(self, parts: Parts) -> None:
        self._registry = parts.node.registry

    def save(self, ask: Ask) -> Response:
        """Keep what a list was asked for under a name; one of that name makes room."""
        name, list_ = self._list(ask)
        try:
            pairs = parse_qsl(ask.given("asked"), strict_parsing=True, max_num_fields=10)
        except ValueError:
            pairs = []
        asked = dict(pairs)
        if not asked or len(asked) != len(pairs) or not _reads(list_, asked):
            raise InputError(ask.words("views.nothing"))
        self._registry.saved_views.save(_whose(ask), name, ask.given("name"), asked)
        return RedirectResponse(list_.address(asked), 303)

    def delete(self, ask: Ask) -> Response:
        """Delete a view of one's own."""
        _, list_ = self._list(ask)
        self._registry.saved_views.delete(_whose(ask), ask.given("view"))
        return RedirectResponse(list_.address({}), 303)

    @staticmethod
    def _list(ask: Ask) -> tuple[str, ViewedList]:
        name = ask.given("list")
        list_ = LISTS.get(name)
        if list_ is None or admits(list_.rule, ask.visitor, {}) is not Admission.ADMITTED:
            raise InputError(ask.words("views.no_list"), code="not_found")
        return name, list_


def _whose(ask: Ask) -> str | None:
    """The person whose views they are; None: the operator's by the printed link."""
    return None if ask.visitor.person is None else ask.visitor.person.person


def _reads(list_: ViewedList, asked: Mapping[str, str]) -> bool:
    """Whether a list can be asked for this."""
    return (
        bool(asked)
        and asked.keys() <= {*list_.names}
        and all(0 < len(one) <= _LONGEST_VALUE for one in asked.values())
        and asked.get(_ORDER, Order.NEWEST) in {*Order}
    )


def _shown(name: str, view: SavedView, now: Mapping[str, str]) -> ShownView:
    list_ = LISTS[name]
    address = list_.address(view.asked) if _reads(list_, view.asked) else None
    return ShownView(view.view_id, view.name, address, view.asked == now)
