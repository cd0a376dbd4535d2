"""`bailee flows`: what leaves this machine, what does not, and who decided."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer

from bailee.cli.errors import reporting
from bailee.cli.show import console, print_json, say, write_text
from bailee.cli.speaking import LanguageOption, spoken
from bailee.cli.surroundings import here
from bailee.client import files
from bailee.client.agent_flows import PROGRAMS, agent_flows
from bailee.client.flows import FlowState, all_flows, where
from bailee.client.picture import draw
from bailee.client.settings import ClientSettings
from bailee.errors import InputError
from bailee.policy import Policy, load
from bailee.policy.document import Language
from bailee.words import Words, words

SettingsOption = Annotated[
    str | None,
    typer.Option("--settings", metavar="JSON|FILE", help="Settings for this run."),
]
DocumentOption = Annotated[
    Path | None,
    typer.Option("--document", metavar="FILE", help="A policy document (else the shipped one)."),
]


def flows(
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable output.")] = False,
    diagram: Annotated[bool, typer.Option("--diagram", help="A picture of the arrows.")] = False,
    settings: SettingsOption = None,
    document: DocumentOption = None,
    lang: LanguageOption = None,
) -> None:
    """Show every flow from this machine: state, destination, contents, and who decided."""
    with reporting():
        language = spoken(lang, as_json=as_json)
        if as_json and diagram:
            raise InputError("Give --json or --diagram, not both.")
        policy = load(document)
        holding = files.read(policy, here(), option=settings)
        warn(holding)
        boxed = shutil.which("bwrap") is not None
        found = all_flows(policy, holding, language, sandboxed=boxed)
        installed = [name for name in PROGRAMS if shutil.which(name) is not None]
        found += agent_flows(holding, installed, language)
        if as_json:
            print_json([flow.as_json() for flow in found])
        elif diagram:
            out = console()
            # For width only: the picture is text, and must not be wrapped or marked up again.
            kept = [stays(policy, holding, language)]
            write_text(draw(found, kept, min(out.width, 100), language) + "\n")
        else:
            told = words(language, "terminal")
            _tell(found, told)
            console().print(f"\n{told('flows.stays')}{stays(policy, holding, language)}")
            console().print(told("flows.note"), style="dim")


def warn(holding: ClientSettings) -> None:
    """Say on standard error what is wrong with the settings, and what was ignored."""
    for problem in holding.problems:
        say(f"warning: {problem}", err=True)
        say(f"hint: {problem.hint}", err=True)
    if holding.problems:
        say(
            "warning: settings that are not understood count as a wish for privacy: "
            "nothing but the work itself is sent.",
            err=True,
        )
    for problem in holding.ignored:
        say(f"note: {problem}", err=True)


def stays(policy: Policy, holding: ClientSettings, lang: Language = "en") -> str:
    """What is kept on this machine, and how long, in words."""
    said = words(lang, "terminal")
    chosen = holding.keep_days
    days = policy.local_transcript_days(None if chosen is None else chosen.value)
    by = said("flows.by_default")
    if chosen is not None:
        by = said("flows.by", name="cleanupPeriodDays", where=where(chosen, said))
    return said.count("flows.kept", days, by=by) if days else said("flows.not_kept", by=by)


def _tell(found: list[FlowState], said: Words) -> None:
    from rich.text import Text

    out = console()
    for flow in found:
        mark, style = ("flows.on", "bold green") if flow.on else ("flows.off", "dim")
        head = Text()
        head.append(f" {said(mark)} ", style=style)
        head.append(f" {flow.label}", style="bold")
        head.append(f"  {flow.name}", style="dim")
        out.print(head)
        there = flow.on or flow.destination == said("flow.nowhere")
        out.print(f"      {said('flows.to' if there else 'flows.would')}{flow.destination}")
        out.print(f"      {flow.carries}")
        clause = f"  ({flow.clause})" if flow.clause else ""
        out.print(f"      {said('flows.decided')}{flow.decided_by}{clause}", style="dim")
