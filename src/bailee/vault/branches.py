"""A session's main conversation, and what branched off from it. Pure.

A session is a tree of requests (`request_tree`). Exchanges that begin alike, as far as the model's
first words, are a *thread*; its *line* follows, at each fork, what is no agent's, uses tools, and
went on last. The main conversation is the lines of one thread after another: there is a second one
after the client has compacted its history. Everything else is a `Branch` that leaves a line
somewhere, in time.

Rules kept here:

* Total: every message of every request, and every answer, is in the main conversation or in a
  branch. What a request and a branch have in common is said once.
* Time and memory follow what the tree holds.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, field
from itertools import chain

from bailee.vault.branch_kinds import BranchKind, ReadKinds, is_called
from bailee.vault.kept import KeptExchange
from bailee.vault.lines import ReadLines, SaidAlong
from bailee.vault.packing import JSON
from bailee.vault.readable import answered
from bailee.vault.request_tree import RequestTree
from bailee.vault.threads import ReadThreads, ThreadLine


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
        self._kinds = ReadKinds(tree, exchanges)
        self._threads = ReadThreads(tree, self._kinds, lines)
        self._earlier: dict[int, list[ThreadLine]] = {}  # by the first node of what goes on

    def found(self) -> Branching:
        threads = self._threads.all()
        main = self._threads.main(threads)
        chosen = frozenset(one.first for one in main)
        for one, later in self._threads.taken_up(main):
            self._earlier.setdefault(later.first, []).append(one)
        gone = {one.first for some in self._earlier.values() for one in some}
        main = [one for one in main if one.first not in gone]
        times = self._main_work(main)
        conversations = list(main)
        before = [message for one in main for message in one.own.messages]
        for one in threads:
            if one.first not in chosen:
                kind = self._kinds.of_a_thread(one.body)
                at = bisect_right(times, self._started(one.body))
                if at and is_called(before[at - 1], *one.own.messages[:1]):
                    kind = BranchKind.AGENT
                if kind in (BranchKind.AGENT, BranchKind.PARALLEL):
                    conversations.append(one)
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

    def _main_work(self, main: list[ThreadLine]) -> list[tuple[float, int]]:
        """Has the main conversation's forks looked at; when each of its messages came."""
        times: list[tuple[float, int]] = []
        latest = (float("-inf"), -1)
        count = 0
        for one in main:
            said = one.own
            places = [count + place for place in said.places]
            came = [self._came(place) for place in one.nodes]
            earlier = self._earlier.get(one.first, ())
            known = {self._tree.digest(place) for place in one.nodes} if earlier else set()
            for before in reversed(earlier):
                alike = self._threads.aligned(before, one)
                came[:alike] = [self._came(place) for place in before.nodes[:alike]]
                self._taken_up(before, alike, count, places, known)
            for when, upto in zip(came, places, strict=True):
                latest = max(latest, when)
                times += [latest] * (upto - len(times))
            self._work.append(_Work(one.nodes, None, places, None))
            count += len(said.messages)
        return times

    def _came(self, place: int) -> tuple[float, int]:
        node = self._tree.nodes[place]
        return node.time, node.maker

    def _taken_up(
        self, before: ThreadLine, alike: int, begins: int, places: list[int], known: Set[bytes]
    ) -> None:
        """A thread that a later one goes on with, whose first `alike` messages but for the first
        are there: what is not `known` stands where that begins, what branched off where it did.
        """
        rest = before.nodes[alike:]
        own = [before.first, *(one for one in rest if self._tree.digest(one) not in known)]
        self._draft_of(BranchKind.REWRITTEN, None, begins, own, self._lines.read(own).messages)
        upto = [*places[:alike], *[places[alike - 1]] * len(rest)]
        self._work.append(_Work(before.nodes, None, upto, None))

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
                if child != on and child not in self._threads.begun:
                    kind = self._kinds.at_a_fork(child, on, line.agent)
                    known = self._digests(line) if kind is BranchKind.REWRITTEN else frozenset()
                    self._branch(kind, line.draft, at, self._tree.line(child), known)

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
        agent = self._kinds.agent(nodes[0])
        if not messages:
            self._work.append(_Work(nodes, of, [at] * len(nodes), agent))
            return
        draft = self._draft_of(kind, of, at, nodes, messages)
        self._work.append(_Work(nodes, draft, places, agent))

    def _draft_of(
        self, kind: BranchKind, of: _Draft | None, at: int, nodes: list[int], messages: list[JSON]
    ) -> _Draft:
        agent = self._kinds.agent(nodes[0]) if kind is BranchKind.AGENT else None
        started, answered = self._started(nodes[0])[0], self._answered(nodes)
        draft = _Draft(kind, of, at, started, answered, messages, agent or "")
        self._drafts.append(draft)
        return draft

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

    def _answered(self, nodes: list[int]) -> list[int]:
        return sorted(one for place in nodes for one in self._tree.nodes[place].answers)

    def _line(self, one: ThreadLine, said: SaidAlong) -> Line:
        earlier = self._earlier.get(one.first, ())
        first = min(self._tree.nodes[each.body].maker for each in (*earlier, one))
        answers = [self._answered(each.nodes) for each in (*earlier, one)]
        last = self._tree.nodes[one.nodes[-1]].latest
        return Line(said.messages, first, last, sorted(chain.from_iterable(answers)))

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
