"""A person's act on a flow, in words: what it did, and what is still to do. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from bailee.client.flow_choices import FlowAct
from bailee.client.flows import FlowState
from bailee.words import Words


def told(act: FlowAct, state: FlowState, said: Words) -> Iterator[str]:
    """What an act did, a line each; `state`: the flow's after it."""
    if act.on:
        yield said("act.on", flow=state.label, where=state.destination)
        yield said("act.on_undo", name=act.flow)
        return
    yield said("act.off", flow=state.label, where=state.destination)
    yield deleted(act, said)
    for one in act.reports:
        if one.receipt is not None:
            yield said("act.withdrawn", report=one.report, receipt=one.receipt)
        else:
            yield said("act.not_withdrawn", report=one.report, why=one.why)
    if any(one.receipt is None for one in act.reports):
        yield said("act.again", name=act.flow)
    yield said(f"act.there_{act.flow}")
    yield said("act.off_undo", name=act.flow, receipt=act.id)


def deleted(act: FlowAct, said: Words) -> str:
    """What an act deleted of what waited, in words."""
    size = sum(one.size for one in act.deleted)
    number = len(act.deleted)
    return said.count("act.deleted", number, size=size) if number else said("act.nothing")
