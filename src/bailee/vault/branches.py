"""A session's main conversation, and what branched off from it. Pure.

A session is a tree of requests (`request_tree`). Exchanges that begin alike, as far as the model's
first words, are a *thread*; its *line* follows, at each fork, what is no agent's, uses tools, and
went on last. The main conversation is the lines of one thread after another: there is a second one
after the client has compacted its history. Everything else is a `Branch` that leaves a line
somewhere, in time.

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
from itertools import islice
from typing import Final

from bailee.items.speaking import is_by_model
from bailee.json_values import members
from bailee.vault.kept import KeptExchange
from bailee.vault.lines import ReadLines, SaidAlong
from bailee.vault.packing import JSON
from bailee.vault.readable import answered
from bailee.vault.request_tree import ROOT, RequestTree, TurnNode

_COMPARED: Final = 1_000  # messages of a conversation that was sent otherwise
_INSTRUCTIONS: Final = (
    "output_config",
    "output_format",
    "system",
    "instructions",
    "systemInstruction",
)
_INSTRUCTING: Final = ("system", "developer")
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


@dataclass(frozen=True, slots=True)
class _Thread:
    """A thread's line. `body`: the node that this thread alone has, from which on all is its;
    `before`: what it begins with as another does, from the root on, and which that one has. `said`:
    all of it.
    """

    nodes: list[int]
    body: int
    before: list[int]
    said: SaidAlong

    @property
    def first(self) -> int:
        """The first node of its line."""
        return self.nodes[0]

    @property
    def own(self) -> SaidAlong:
        """What its line says."""
        if not self.before:
            return self.said
        told = self.said.places[len(self.before) - 1]
        places = [place - told for place in self.said.places[len(self.before) :]]
        return SaidAlong(self.said.messages[told:], places)


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
        self._begun: set[int] = set()  # nodes at forks at which a thread of its own begins

    def found(self) -> Branching:
        threads = self._threads()
        main = self._main(threads)
        times = self._main_work(main)
        chosen = frozenset(one.first for one in main)
        conversations = list(main)
        for one in threads:
            if one.first not in chosen:
                kind = self._kind_beside(one.body)
                if kind in (BranchKind.AGENT, BranchKind.PARALLEL):
                    conversations.append(one)
                at = bisect_right(times, self._started(one.body))
                self._branch(kind, None, at, one.nodes)
        while self._work:
            self._forks(self._work.pop())
        for number in self._tree.left_out:
            self._without_messages(number, times)
        conversations.sort(key=lambda one: self._tree.nodes[one.body].maker)
        return Branching(
            [self._line(one, one.own) for one in main],
            [self._line(one, one.said) for one in conversations],
            self._numbered(),
        )

    # -- which threads there are, and which are the main conversation ------------------------------

    def _threads(self) -> list[_Thread]:
        """Each in its line. Before the model has said anything a client that takes turns back, or
        has compacted its history, begins anew, and so does an agent: the line goes on with what
        came first, and each of the others is a thread that has the same messages before it.
        """
        nodes = self._tree.nodes
        found: list[_Thread] = []
        waiting: list[tuple[list[int], int]] = [([], first) for first in nodes[ROOT].children]
        while waiting:
            before, first = waiting.pop()
            line = [first]
            body = first
            while not self._is_by_model(place := line[-1]) and nodes[place].children:
                first, *others = self._beginnings(place)
                line.append(first)
                if others:
                    body = first
                    self._begun.update(others)
                    waiting += [([*before, *line[:-1]], one) for one in others]
            line[-1:] = self._tree.line(line[-1])
            found.append(_Thread(line, body, before, self._lines.whole([*before, *line])))
        return sorted(found, key=lambda one: one.first)

    def _beginnings(self, place: int) -> list[int]:
        """Of a node's children the one that the line goes on with, then those with which another
        conversation begins.
        """
        nodes = self._tree.nodes
        children = nodes[place].children
        on = max(children, key=lambda one: nodes[one].rank)
        others = [one for one in children if one != on and not self._is_by_model(one)]
        if not others or self._is_by_model(on):
            return [on]
        agent = None if nodes[on].own else self._agent(on)
        kinds = {one: self._kind(one, on, agent) for one in others}
        agents = [one for one, kind in kinds.items() if kind is BranchKind.AGENT]
        said = self._some_of(on) if BranchKind.REWRITTEN in kinds.values() else set()
        again = [one for one in others if self._is_anew(kinds[one], one, on, said)]
        return [*sorted([on, *again]), *agents]

    def _is_anew(self, kind: BranchKind, child: int, on: int, said: set[bytes]) -> bool:
        """Whether a conversation begins again: it was taken back, or sent otherwise with less than
        half of what was there. `said`: by the line that goes on with `on`.
        """
        if kind is not BranchKind.REWRITTEN:
            return kind is BranchKind.TAKEN_BACK
        other = self._some_of(child)
        return 2 * len(said & other) < len(other if child < on else said)

    def _some_of(self, place: int) -> set[bytes]:
        return {*map(self._tree.digest, islice(self._tree.along(place), _COMPARED))}

    def _is_by_model(self, place: int) -> bool:
        node = self._tree.nodes[place]
        return node.answered or is_by_model(self._exchanges[node.maker].api, node.message)

    def _main(self, threads: Sequence[_Thread]) -> list[_Thread]:
        """Threads that are no agent's and substantial; all that are no agent's where none is. Of
        several at a time the one that was there longest: what it has others do is over before.
        """
        nodes = self._tree.nodes
        by_body = {one.body: one for one in threads}
        own = [body for body in by_body if nodes[body].own]
        some = [body for body in own if self._is_substantial(nodes[body])] or own
        taken: list[tuple[int, int, int]] = []  # first exchange, last one, thread; none overlap
        for body in sorted(some, key=self._breadth, reverse=True):
            span = (nodes[body].maker, nodes[body].latest, body)
            after = bisect_right(taken, span)
            if after and taken[after - 1][1] > span[0]:
                continue
            if after < len(taken) and taken[after][0] < span[1]:
                continue
            insort(taken, span)
        return [by_body[body] for _, _, body in taken]

    def _breadth(self, body: int) -> tuple[int, int, int]:
        node = self._tree.nodes[body]
        return node.latest - node.maker, node.count, -node.maker

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
        if one.title or (not fields.get("tools") and _asks_for_a_title(fields, one.messages[:1])):
            return BranchKind.TITLE
        return BranchKind.ASIDE

    def _main_work(self, threads: list[_Thread]) -> list[tuple[float, int]]:
        """Has the main conversation's forks looked at; when each of its messages came."""
        times: list[tuple[float, int]] = []
        latest = (float("-inf"), -1)
        count = 0
        for one in threads:
            said = one.own
            places = [count + place for place in said.places]
            for place, upto in zip(one.nodes, places, strict=True):
                node = self._tree.nodes[place]
                latest = max(latest, (node.time, node.maker))
                times += [latest] * (upto - len(times))
            self._work.append(_Work(one.nodes, None, places, None))
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
                if child != on and child not in self._begun:
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

    def _line(self, one: _Thread, said: SaidAlong) -> Line:
        first, last = self._tree.nodes[one.body].maker, self._tree.nodes[one.nodes[-1]].latest
        return Line(said.messages, first, last, self._answered(one.nodes))

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


def _asks_for_a_title(fields: dict[str, JSON], first: Sequence[JSON]) -> bool:
    """Whether instructions do: those of the request, or its first message if that is one."""
    wanted = [fields.get(name) for name in _INSTRUCTIONS]
    wanted += [members(one).get("content") for one in first if _instructs(one)]
    for one in wanted:
        for text in _texts(one):
            if "title" in text[:_LOOKED_INTO].lower():
                return True
    return False


def _instructs(message: JSON) -> bool:
    return members(message).get("role") in _INSTRUCTING


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
