"""What of an exchange a person reads, as messages. Pure.

The one place where items of an API become messages that every view can show (`items.view`). An
answer is shown with all that it says, of which a client sends some back. What the provider alone
holds is said to be there.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from bailee.api import Api
from bailee.items.view import view, view_answer
from bailee.json_values import members
from bailee.vault.delta import replies
from bailee.vault.kept import KeptExchange
from bailee.vault.packing import JSON

HELD: Final = "held_by_the_provider"
"""The type of a block that says what is not here: `what` are its kinds and ids."""


class Readable:
    """A session's exchanges, to be read. Made once for a session, by the thread that shows it. It
    reads what it is given, and changes none of it.
    """

    def __init__(self, exchanges: Iterable[KeptExchange]) -> None:
        self._asked: dict[str, KeptExchange] = {}
        for one in exchanges:
            if one.response is not None and one.after != one.response:
                self._asked.setdefault(one.response, one)

    def before(self, exchange: KeptExchange) -> int | None:
        """The number of the exchange that it continues by an id of the provider's, or whose answer
        it fetched, if that is one of these.
        """
        found = None if exchange.after is None else self._asked.get(exchange.after)
        return found.number if found is not None and found.number < exchange.number else None

    def request(self, exchange: KeptExchange, items: list[JSON], *, begins: bool) -> list[JSON]:
        """Items of its request as messages. `begins`: they are the first that are its own."""
        said = view(exchange.api, items)
        return [*self._elsewhere(exchange), *said] if begins else said

    def _elsewhere(self, exchange: KeptExchange) -> list[JSON]:
        """That there is more, and where."""
        what: list[JSON] = [*exchange.elsewhere]
        if exchange.after and self.before(exchange) is None:
            what.insert(0, f"response {exchange.after}")
        block: JSON = {"type": HELD, "what": what}
        return [{"role": "provider", "content": [block]}] if what else []


def items_back(exchange: KeptExchange) -> list[JSON]:
    """The items by which its conversation goes on. An answer that is none that is known is one."""
    found = replies(exchange.api, exchange.answer)
    if found:
        return found
    if exchange.api is Api.MESSAGES:  # Converse's was once kept as the Messages API's
        message = members(members(exchange.answer).get("output")).get("message")
        if isinstance(message, dict):
            return [message]
    return [] if exchange.answer is None else [exchange.answer]


def answered(exchange: KeptExchange) -> list[JSON]:
    """Its answer as messages, whole."""
    if exchange.api is Api.MESSAGES:
        return items_back(exchange)
    return view_answer(exchange.api, exchange.answer) or items_back(exchange)
