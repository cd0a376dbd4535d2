"""`bailee flows`: what leaves this machine, what does not, and who decided."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from bailee.cli.errors import reporting
from bailee.cli.show import console, print_json
from bailee.client import files
from bailee.client.flows import Flow, all_flows
from bailee.client.picture import draw
from bailee.client.settings import Settings
from bailee.errors import InputError
from bailee.policy import Policy, load
from bailee.policy.document import Language

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
    lang: Annotated[Language, typer.Option("--lang", help="The language of the texts.")] = "en",
) -> None:
    """Show every flow from this machine: state, destination, contents, and who decided."""
    with reporting():
        if as_json and diagram:
            raise InputError("Give --json or --diagram, not both.")
        policy = load(document)
        holding = files.read(policy, Path.cwd(), option=settings)
        warn(holding)
        boxed = shutil.which("bwrap") is not None
        found = all_flows(policy, holding, lang, sandboxed=boxed)
        if as_json:
            print_json([flow.as_json() for flow in found])
        elif diagram:
            out = console()
            # For width only: the picture is text, and must not be wrapped or marked up again.
            sys.stdout.write(draw(found, [stays(policy, holding)], min(out.width, 100)) + "\n")
        else:
            _tell(found)
            console().print(Text(f"\nStays here: {stays(policy, holding)}"))
            console().print(
                Text(
                    "Any value of a DISABLE_… variable that is not empty turns its flow off, 0 too."
                    "  Exact bytes: bailee outbox",
                    style="dim",
                )
            )


def warn(holding: Settings) -> None:
    """Say on standard error what is wrong with the settings, and what was ignored."""
    for problem in holding.problems:
        print(f"warning: {problem}", file=sys.stderr)
        print(f"hint: {problem.hint}", file=sys.stderr)
    if holding.problems:
        print(
            "warning: settings that are not understood count as a wish for privacy: "
            "nothing but the work itself is sent.",
            file=sys.stderr,
        )
    for problem in holding.ignored:
        print(f"note: {problem}", file=sys.stderr)


def stays(policy: Policy, holding: Settings) -> str:
    """What is kept on this machine, and how long, in words."""
    chosen = holding.keep_days
    days = policy.local_transcript_days(None if chosen is None else chosen.value)
    by = "by default" if chosen is None else f"by cleanupPeriodDays in {chosen.where}"
    if days == 0:
        return f"no transcripts are kept, {by}."
    return f"transcripts, encrypted, for {days} day{'' if days == 1 else 's'}, {by}."


def _tell(found: list[Flow]) -> None:
    out = console()
    for flow in found:
        mark, style = ("on ", "bold green") if flow.on else ("off", "dim")
        head = Text()
        head.append(f" {mark} ", style=style)
        head.append(f" {flow.label}", style="bold")
        head.append(f"  {flow.name}", style="dim")
        out.print(head)
        way = "to" if flow.on or flow.destination == "nowhere" else "would go to"
        out.print(Text(f"      {way} {flow.destination}"))
        out.print(Text(f"      {flow.carries}"))
        clause = f"  ({flow.clause})" if flow.clause else ""
        out.print(Text(f"      decided by {flow.decided_by}{clause}", style="dim"))
