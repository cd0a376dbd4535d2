"""What of an exchange a person reads: the conversation that it came to, as messages. Pure.

The one place where items of an API become messages that every view can show (`items.view`). An
exchange that continues an earlier response by the id that the provider gave it comes after that
one's conversation; an answer that was fetched later stands where it was asked for. What the
provider alone holds is said to be there.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from bailee.api import Api
from bailee.items.view import view, view_answer
from bailee.json_values import members
from bailee.vault.delta import as_message
from bailee.vault.kept import KeptExchange
from bailee.vault.listing import WRAPPER
from bailee.vault.packing import JSON

HELD: Final = "held_by_the_provider"
"""The type of a block that says what is not here: `what` are its kinds and ids."""

_TOOLS: Final = "additional_tools"


class Readable:
    """A session's exchanges, to be read. Made once for a session, by the thread that shows it."""

    def __init__(self, exchanges: Iterable[KeptExchange]) -> None:
        self._asked: dict[str, KeptExchange] = {}
        self._fetched: dict[str, KeptExchange] = {}
        for one in exchanges:
            if one.response is None:
                continue
            if one.after == one.response:
                if one.answer is not None:
                    self._fetched[one.response] = one
            else:
                self._asked.setdefault(one.response, one)

    def before(self, exchange: KeptExchange) -> KeptExchange | None:
        """The exchange that it continues by an id of the provider's, if that is one of these."""
        found = None if exchange.after is None else self._asked.get(exchange.after)
        return None if found is exchange else found

    def is_apart(self, exchange: KeptExchange) -> bool:
        """Whether it fetched an answer that was asked for in no exchange of these."""
        return exchange.said is None and exchange.after is not None and not self.before(exchange)

    def conversation(self, exchange: KeptExchange) -> list[JSON]:
        """What it came to, from the first message that is kept on, its answer the last."""
        parts: list[list[JSON]] = []
        one: KeptExchange | None = exchange
        seen: set[int] = set()
        while one is not None and one.number not in seen:
            seen.add(one.number)
            before = self.before(one)
            asked = view(one.api, one.messages)
            parts.append([*_elsewhere(one, before), *asked, *self.answer(one)])
            one = before
        return [message for part in reversed(parts) for message in part]

    def answer(self, exchange: KeptExchange) -> list[JSON]:
        """Its answer, or the one that was fetched for it later."""
        answer = exchange.answer
        if exchange.response is not None and exchange.response in self._fetched:
            answer = self._fetched[exchange.response].answer
        return answered(exchange.api, answer)


def has_tools(exchange: KeptExchange) -> bool:
    """Whether the model may use tools: Codex says so among its items, Code Assist within."""
    fields = members(exchange.fields)
    if fields.get("tools") or members(fields.get(WRAPPER)).get("tools"):
        return True
    return exchange.api is Api.RESPONSES and any(
        members(item).get("type") == _TOOLS for item in exchange.messages
    )


def answered(api: Api, answer: JSON) -> list[JSON]:
    """An answer as messages. Converse's was once kept as the Messages API's."""
    if api is Api.MESSAGES:
        output = answer.get("output") if isinstance(answer, dict) else None
        message = output.get("message") if isinstance(output, dict) else None
        found = message if isinstance(message, dict) else as_message(answer)
        return [] if found is None else [found]
    return view_answer(api, answer)


def _elsewhere(exchange: KeptExchange, before: KeptExchange | None) -> list[JSON]:
    """That there is more, and where."""
    what: list[JSON] = [*exchange.elsewhere]
    if exchange.after is not None and before is None and exchange.after:
        what.insert(0, f"response {exchange.after}")
    block: JSON = {"type": HELD, "what": what}
    return [{"role": "provider", "content": [block]}] if what else []
