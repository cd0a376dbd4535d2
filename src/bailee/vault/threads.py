"""The threads of a session: conversations that begin otherwise than the others. Pure.

Exchanges that begin with the same message are a thread, and its line follows, at each fork, what is
no agent's, uses tools, and went on last (`RequestTree.along`). Many clients begin with the same
instructions each time. So there are several threads, too, where requests part before the model has
said anything: who takes the first words back, or has compacted the history, begins anew, and an
agent may begin with the same instructions. The line goes on with what came first; the others have
the same messages before them, which are told once.

A client that takes a conversation up on another day may begin it with that day's date. So a thread
whose first message alone is another goes on with the earlier one (`taken_up`).
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from bailee.vault.branch_kinds import BranchKind, ReadKinds
from bailee.vault.lines import ReadLines, SaidAlong
from bailee.vault.request_tree import ROOT, RequestTree

_OPENING: Final = 64  # messages before the model's first words that may be several threads'
_COMPARED: Final = 1_000  # messages of a conversation that was sent otherwise


@dataclass(frozen=True, slots=True)
class ThreadLine:
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


class ReadThreads:
    """Finds a tree's threads. Made once for a session, by the thread that shows it; it changes
    nothing of the tree, which is summed up.

    `begun`: nodes at forks with which a thread begins, once `all` has been called.
    """

    def __init__(self, tree: RequestTree, kinds: ReadKinds, lines: ReadLines) -> None:
        self._tree = tree
        self._kinds = kinds
        self._lines = lines
        self.begun: set[int] = set()

    def all(self) -> list[ThreadLine]:
        """Each, in the order of their first nodes."""
        nodes = self._tree.nodes
        found: list[ThreadLine] = []
        waiting: list[tuple[list[int], int]] = [([], first) for first in nodes[ROOT].children]
        while waiting:
            before, first = waiting.pop()
            line = [first]
            body = first
            while len(before) + len(line) <= _OPENING:
                if self._kinds.is_by_model(line[-1]) or not nodes[line[-1]].children:
                    break
                on, *others = self._beginnings(line[-1])
                if others:
                    body = on
                    self.begun.update(others)
                    waiting += [([*before, *line], one) for one in others]
                line.append(on)
            line[-1:] = self._tree.line(line[-1])
            found.append(ThreadLine(line, body, before, self._lines.whole([*before, *line])))
        return sorted(found, key=lambda one: one.first)

    def main(self, threads: Sequence[ThreadLine]) -> list[ThreadLine]:
        """Those that are the main conversation: no agent's and substantial; all that are no
        agent's where none is. Of several at a time the one that was there longest: what it has
        others do is over before.
        """
        nodes = self._tree.nodes
        by_body = {one.body: one for one in threads}
        own = [body for body in by_body if nodes[body].own]
        some = [body for body in own if self._kinds.is_substantial(body)] or own
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

    def taken_up(self, main: Sequence[ThreadLine]) -> list[tuple[ThreadLine, ThreadLine]]:
        """Of the main conversation's threads those that a later one says again but for the first
        message, as far as the model's first words; each with the last one that does.
        """
        found: list[tuple[ThreadLine, ThreadLine]] = []
        later: dict[bytes, ThreadLine] = {}
        for one in reversed(main):
            opening, sent = self._opening(one)
            if opening in later:
                found.append((one, later[opening]))
            elif opening and sent:
                later[opening] = one
        return found[::-1]

    def _opening(self, one: ThreadLine) -> tuple[bytes, bool]:
        """What a thread says after its first message, as far as the model's first words, as a
        digest; and whether a request had these. Nothing, if the model says nothing there.
        """
        said = b""
        for place in [] if one.before else one.nodes[1:_OPENING]:
            said += self._tree.digest(place)
            if self._kinds.is_by_model(place):
                return said, not self._tree.nodes[place].answered
        return b"", False

    def aligned(self, one: ThreadLine, other: ThreadLine) -> int:
        """How many messages two of those say alike, the first counted with them."""
        count = 1
        for mine, theirs in zip(one.nodes[1:], other.nodes[1:], strict=False):
            if self._tree.digest(mine) != self._tree.digest(theirs):
                break
            count += 1
        return count

    def _breadth(self, body: int) -> tuple[int, int, int]:
        node = self._tree.nodes[body]
        return node.latest - node.maker, node.count, -node.maker

    def _beginnings(self, place: int) -> list[int]:
        """Of a node's children the one that the line goes on with, then those with which another
        conversation begins.
        """
        nodes = self._tree.nodes
        children = nodes[place].children
        on = max(children, key=lambda one: nodes[one].rank)
        others = [one for one in children if one != on and self._may_begin(one, on)]
        if not others:
            return [on]
        agent = self._kinds.agent(on)
        kinds = {one: self._kinds.at_a_fork(one, on, agent) for one in others}
        agents = [one for one, kind in kinds.items() if kind is BranchKind.AGENT]
        said = self._some_of(on) if BranchKind.REWRITTEN in kinds.values() else set()
        again = [one for one in others if self._is_anew(kinds[one], one, on, said)]
        return [*sorted([on, *again]), *agents]

    def _may_begin(self, child: int, on: int) -> bool:
        """Whether one of two that part can be another conversation: where both are the client's
        words; or where those come instead of an answer, and later, and there was more than that.
        """
        answers = [one for one in (child, on) if self._kinds.is_by_model(one)]
        if not answers:
            return True
        return answers == [min(child, on)] and self._tree.nodes[answers[0]].count > 1

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
