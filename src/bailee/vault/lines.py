"""Lines of a session's tree as messages that a person reads. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from bailee.api import Api
from bailee.items.speaking import is_by_model
from bailee.vault.kept import KeptExchange
from bailee.vault.packing import JSON
from bailee.vault.readable import Readable, answered, items_back
from bailee.vault.request_tree import RequestTree


class SaidAlong(NamedTuple):
    """What a line says. `places`: of each of its nodes, how many messages there are up to it."""

    messages: list[JSON]
    places: list[int]


class ReadLines:
    """Reads a tree's lines. Items become messages in runs, since those of one speaker may be one
    message: a run ends where the exchange changes, where another speaks, and where something
    branches off. Made once for a session, by the thread that shows it; it changes nothing of the
    tree.
    """

    def __init__(
        self, tree: RequestTree, exchanges: Sequence[KeptExchange], readable: Readable
    ) -> None:
        self._tree = tree
        self._exchanges = exchanges
        self._readable = readable

    def whole(self, nodes: Sequence[int]) -> SaidAlong:
        """A line from its first message on: as its last request had it, with its marks."""
        last = self._exchanges[self._tree.nodes[nodes[-1]].latest]
        items = [*last.messages, *items_back(last)] if last.api is Api.MESSAGES else []
        return self.read(nodes, items if len(items) == len(nodes) else None)

    def read(self, nodes: Sequence[int], items: Sequence[JSON] | None = None) -> SaidAlong:
        """A line, or some of its nodes. `items`: their messages, if others than the nodes have."""
        messages: list[JSON] = []
        places: list[int] = []
        at = 0
        for run in self._runs(nodes):
            values = items[at : at + len(run)] if items is not None else None
            found = [self._tree.nodes[one].message for one in run] if values is None else [*values]
            at += len(run)
            one_by_one = self._exchanges[self._tree.nodes[run[0]].maker].api is Api.MESSAGES
            before = len(messages)
            messages += self._run(run, found)
            if one_by_one and len(messages) == before + len(run):
                places += range(before + 1, len(messages) + 1)
            else:
                places += [len(messages)] * len(run)
        return SaidAlong(messages, places)

    def _runs(self, nodes: Sequence[int]) -> Iterator[list[int]]:
        run: list[int] = []
        for place in nodes:
            node = self._tree.nodes[place]
            if run:
                before = self._tree.nodes[run[-1]]
                parted = len(before.children) > 1 or before.ends or before.answers
                same = (before.maker, before.answered) == (node.maker, node.answered)
                if parted or not same or self._answers(run[-1], place):
                    yield run
                    run = []
            run.append(place)
        if run:
            yield run

    def _answers(self, place: int, on: int) -> bool:
        """Whether, of two items of one request, the model said one and the client's side one."""
        one, other = self._tree.nodes[place], self._tree.nodes[on]
        api = self._exchanges[one.maker].api
        return not one.answered and is_by_model(api, one.message) != is_by_model(api, other.message)

    def _run(self, run: list[int], items: list[JSON]) -> list[JSON]:
        first = self._tree.nodes[run[0]]
        maker = self._exchanges[first.maker]
        if maker.api is Api.MESSAGES:
            return items
        before = None if first.parent < 0 else self._tree.nodes[first.parent]
        begins = before is None or (before.maker, before.answered) != (first.maker, first.answered)
        if first.answered:
            if begins and len(run) == len(items_back(maker)):
                return answered(maker)
            return self._readable.request(maker, items, begins=False)
        return self._readable.request(maker, items, begins=begins)
