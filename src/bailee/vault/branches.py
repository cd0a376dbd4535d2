"""A session's main conversation, and what branched off from it. Pure.

A session is a tree of requests (`request_tree`). Exchanges that begin with the same message are a
*thread*; its *line* follows, at each fork, what is no agent's, uses tools, and went on last. The
main conversation is the lines of one thread after another: there is a second one after the client
has compacted its history. Everything else is a `Branch` that leaves a line somewhere, in time.

Rules kept here:

* Total: every message of every request, and every answer, is in the main conversation or in a
  branch. What a request and a branch have in common is said once.
* A kind is a reading of what was sent, since no client says it; what is told does not depend on it.
* Time and memory follow what the tree holds.
"""

from __future__ import annotations

import json
from bisect import bisect_right, insort
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from bailee.vault.kept import KeptExchange
from bailee.vault.lines import ReadLines, SaidAlong
from bailee.vault.packing import JSON
from bailee.vault.readable import answered
from bailee.vault.request_tree import ROOT, RequestTree, TurnNode

_LOOKED_INTO: Final = 2_000  # characters of a request's instructions that may ask for a title


class BranchKind(StrEnum):
    """What a branch is, as far as requests show it."""

    TAKEN_BACK = "taken_back"
    """Turns that nothing goes on with: rewound, or asked on the side."""
    REPEAT = "repeat"
    """Another answer to the same request."""
    REWRITTEN = "rewritten"
    """What was there before the client sent its history otherwise."""
    FAILED = "failed"
    """A request without an answer of the model's."""
    ASIDE = "aside"
    """A small request without tools, beside a conversation with tools."""
    TITLE = "title"
    """Such a one whose instructions ask for a title."""
    AGENT = "agent"
    """A conversation of an agent that the client names."""
    PARALLEL = "parallel"
    """Another conversation at the same time."""
    OTHER = "other"
    """A request that has no messages."""


@dataclass(frozen=True, slots=True)
class Branch:
    """What is not in the main conversation. `number`: from 1, in time. It leaves the branch `of`
    (None: the main conversation) after the first `at` of its messages. `name`: the agent's.
    `messages`: those that are its own. `exchanges`: whose answers these hold; of a failed one, its
    own. `error`: what came instead of an answer; `outcome`, `status`: of the last exchange.
    """

    number: int
    kind: BranchKind
    name: str
    of: int | None
    at: int
    started: float
    exchanges: list[int]
    messages: list[JSON]
    error: JSON = None
    outcome: str = ""
    status: int = 0


@dataclass(frozen=True, slots=True)
class Line:
    """A conversation: its messages, its first and its last exchange, and those that are answered in
    it.
    """

    messages: list[JSON]
    first: int
    last: int
    exchanges: list[int]


@dataclass(frozen=True, slots=True)
class Branching:
    """The main conversation as the lines of its threads, all lines of conversations (theirs, the
    agents', those in parallel) in the order in which they began, and the branches.
    """

    main: list[Line]
    conversations: list[Line]
    branches: list[Branch]


@dataclass(slots=True)
class _Draft:
    """A branch that has no number yet. `of`: the draft that it leaves."""

    kind: BranchKind
    of: _Draft | None
    at: int
    started: float
    exchanges: list[int]
    messages: list[JSON]
    name: str = ""
    number: int = 0


def branching(tree: RequestTree, exchanges: Sequence[KeptExchange], lines: ReadLines) -> Branching:
    """The conversations of a tree that is summed up."""
    return _Branching(tree, exchanges, lines).found()


@dataclass(slots=True)
class _Work:
    """A line whose forks are to be looked at. `places`: of each node, how many messages there are
    up to it in what is shown of the line; a rewritten one leaves some out.
    """

    nodes: list[int]
    draft: _Draft | None
    places: list[int]
    agent: str | None
    digests: set[bytes] | None = field(default=None)


class _Branching:
    """One session's branches being found: drafts, and lines whose forks are still to be looked at.
    Made for one call of `found`.
    """

    def __init__(
        self,
        tree: RequestTree,
        exchanges: Sequence[KeptExchange],
        lines: ReadLines,
    ) -> None:
        self._tree = tree
        self._exchanges = exchanges
        self._lines = lines
        self._drafts: list[_Draft] = []
        self._work: list[_Work] = []

    def found(self) -> Branching:
        threads = self._tree.nodes[ROOT].children
        main = self._main(threads)
        lines = {first: self._tree.line(first) for first in threads}
        said = {first: self._lines.whole(lines[first]) for first in threads}
        times = self._main_work([(lines[first], said[first]) for first in main])
        chosen = frozenset(main)
        conversations = list(main)
        for first in threads:
            if first not in chosen:
                started = self._started(first)
                kind = self._kind_beside(first)
                if kind in (BranchKind.AGENT, BranchKind.PARALLEL):
                    conversations.append(first)
                self._branch(kind, None, bisect_right(times, started), lines[first])
        while self._work:
            self._forks(self._work.pop())
        for number in self._tree.left_out:
            self._without_messages(number, times)
        conversations.sort(key=lambda one: self._tree.nodes[one].maker)
        return Branching(
            [self._line(lines[first], said[first]) for first in main],
            [self._line(lines[first], said[first]) for first in conversations],
            self._numbered(),
        )

    # -- which threads are the main conversation --------------------------------------------------

    def _main(self, threads: Sequence[int]) -> list[int]:
        """Threads that are no agent's and substantial, of several at a time the longest; all that
        are no agent's where none is substantial.
        """
        nodes = self._tree.nodes
        own = [first for first in threads if nodes[first].own]
        some = [first for first in own if self._is_substantial(nodes[first])] or own
        taken: list[tuple[int, int, int]] = []  # first exchange, last one, thread; none overlap
        for first in sorted(some, key=lambda one: (-nodes[one].count, nodes[one].maker)):
            span = (nodes[first].maker, nodes[first].latest, first)
            after = bisect_right(taken, span)
            if after and taken[after - 1][1] > span[0]:
                continue
            if after < len(taken) and taken[after][0] < span[1]:
                continue
            insort(taken, span)
        return [first for _, _, first in taken]

    def _is_substantial(self, node: TurnNode) -> bool:
        return node.count > 1 or (node.tools and not self._exchanges[node.latest].title)

    def _kind_beside(self, first: int) -> BranchKind:
        node = self._tree.nodes[first]
        if not node.own:
            return BranchKind.AGENT
        if node.count > 1:
            return BranchKind.PARALLEL
        return self._small(node.latest)

    def _small(self, number: int) -> BranchKind:
        one = self._exchanges[number]
        fields = one.fields or {}
        if one.title or (not fields.get("tools") and _asks_for_a_title(fields)):
            return BranchKind.TITLE
        return BranchKind.ASIDE

    def _main_work(self, lines: list[tuple[list[int], SaidAlong]]) -> list[tuple[float, int]]:
        """Has the main conversation's forks looked at; when each of its messages came."""
        times: list[tuple[float, int]] = []
        latest = (float("-inf"), -1)
        count = 0
        for nodes, said in lines:
            places = [count + place for place in said.places]
            for place, upto in zip(nodes, places, strict=True):
                node = self._tree.nodes[place]
                latest = max(latest, (node.time, node.maker))
                times += [latest] * (upto - len(times))
            self._work.append(_Work(nodes, None, places, None))
            count += len(said.messages)
        return times

    # -- what branches off from a line -------------------------------------------------------------

    def _forks(self, line: _Work) -> None:
        nodes = self._tree.nodes
        for index, place in enumerate(line.nodes):
            node, at = nodes[place], line.places[index]
            for number in node.ends:
                self._failed(number, line.draft, at)
            if len(node.children) < 2:  # the line's own
                continue
            on = line.nodes[index + 1]
            for child in node.children:
                if child != on:
                    kind = self._kind(child, on, line.agent)
                    known = self._digests(line) if kind is BranchKind.REWRITTEN else frozenset()
                    self._branch(kind, line.draft, at, self._tree.line(child), known)

    def _kind(self, child: int, on: int, agent: str | None) -> BranchKind:
        """What a child of a line's node is, beside the one that the line goes on with."""
        one, other = self._tree.nodes[child], self._tree.nodes[on]
        named = None if one.own else self._exchanges[one.latest].agent
        if named is not None and named != agent:
            return BranchKind.AGENT
        if other.tools and not one.tools:
            return self._small(one.latest) if one.count == 1 else BranchKind.ASIDE
        if one.answered and other.answered:
            return BranchKind.REPEAT
        later = one if one.maker > other.maker else other
        if not later.answered and self._tree.rewrites[later.maker]:
            return BranchKind.REWRITTEN
        return BranchKind.TAKEN_BACK

    def _digests(self, line: _Work) -> set[bytes]:
        if line.digests is None:
            line.digests = {self._tree.digest(place) for place in line.nodes}
        return line.digests

    def _branch(
        self,
        kind: BranchKind,
        of: _Draft | None,
        at: int,
        nodes: list[int],
        known: Set[bytes] = frozenset(),
    ) -> None:
        """A branch, without the messages that are `known`; none if nothing is left of it."""
        messages, places = self._left(nodes, known)
        agent = None if self._tree.nodes[nodes[0]].own else self._agent(nodes[0])
        if not messages:
            self._work.append(_Work(nodes, of, [at] * len(nodes), agent))
            return
        draft = _Draft(
            kind,
            of,
            at,
            self._started(nodes[0])[0],
            self._answered(nodes),
            messages,
            (agent or "") if kind is BranchKind.AGENT else "",
        )
        self._drafts.append(draft)
        self._work.append(_Work(nodes, draft, places, agent))

    def _left(self, nodes: list[int], known: Set[bytes]) -> tuple[list[JSON], list[int]]:
        """What a line says without the messages that are `known`; up to each node, how many."""
        if not known:
            said = self._lines.read(nodes)
            return said.messages, said.places
        left = [one for one in nodes if self._tree.digest(one) not in known]
        said = self._lines.read(left)
        upto = dict(zip(left, said.places, strict=True))
        places: list[int] = []
        for one in nodes:
            places.append(upto.get(one, places[-1] if places else 0))
        return said.messages, places

    def _failed(self, number: int, of: _Draft | None, at: int) -> None:
        started = self._exchanges[number].started
        self._drafts.append(_Draft(BranchKind.FAILED, of, at, started, [number], []))

    def _without_messages(self, number: int, times: list[tuple[float, int]]) -> None:
        one = self._exchanges[number]
        messages = answered(one)
        if not messages and one.error is None and one.raw_request is not None:
            return  # all of it is bytes, and said to be
        at = bisect_right(times, (one.started, number))
        self._drafts.append(_Draft(BranchKind.OTHER, None, at, one.started, [number], messages))

    # -- particulars -------------------------------------------------------------------------------

    def _started(self, place: int) -> tuple[float, int]:
        maker = self._tree.nodes[place].maker
        return self._exchanges[maker].started, maker

    def _agent(self, place: int) -> str | None:
        return self._exchanges[self._tree.nodes[place].latest].agent

    def _answered(self, nodes: list[int]) -> list[int]:
        return sorted(one for place in nodes for one in self._tree.nodes[place].answers)

    def _line(self, nodes: list[int], said: SaidAlong) -> Line:
        first, last = self._tree.nodes[nodes[0]].maker, self._tree.nodes[nodes[-1]].latest
        return Line(said.messages, first, last, self._answered(nodes))

    def _numbered(self) -> list[Branch]:
        """The branches in time."""
        self._drafts.sort(key=lambda one: (one.started, one.exchanges[:1]))
        for number, draft in enumerate(self._drafts, 1):
            draft.number = number
        return list(self._finished())

    def _finished(self) -> Iterator[Branch]:
        for draft in self._drafts:
            last = self._exchanges[draft.exchanges[-1]] if draft.exchanges else None
            failed = draft.kind in (BranchKind.FAILED, BranchKind.OTHER)
            yield Branch(
                draft.number,
                draft.kind,
                draft.name,
                None if draft.of is None else draft.of.number,
                draft.at,
                draft.started,
                draft.exchanges,
                draft.messages,
                last.error if last is not None and failed else None,
                "" if last is None else last.outcome,
                0 if last is None else last.status,
            )


def _asks_for_a_title(fields: dict[str, JSON]) -> bool:
    wanted = [fields.get(name) for name in ("output_config", "output_format", "system")]
    for one in wanted:
        for text in _texts(one):
            if "title" in text[:_LOOKED_INTO].lower():
                return True
    return False


def _texts(value: JSON) -> Iterator[str]:
    """A text, those of a list of blocks, or an object as one."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for one in value[:10]:
            text = one.get("text") if isinstance(one, dict) else one
            if isinstance(text, str):
                yield text
    elif isinstance(value, dict):
        yield json.dumps(value)
