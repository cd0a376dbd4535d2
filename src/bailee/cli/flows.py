"""`bailee flows`: what leaves this machine, what does not, who decided; and off, and on."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bailee.cli.errors import reporting
from bailee.cli.show import console, moment, print_json, say, table, write_text
from bailee.cli.speaking import LanguageOption, spoken
from bailee.cli.surroundings import here
from bailee.client import files
from bailee.client.agent_flows import PROGRAMS, agent_flows
from bailee.client.flow_choices import FlowAct, FlowChoices
from bailee.client.flow_receipts import told
from bailee.client.flows import FlowState, all_flows, where
from bailee.client.picture import draw
from bailee.client.setting_keys import FLOWS, TOLD_BOUNDS
from bailee.client.settings import ClientSettings
from bailee.errors import InputError
from bailee.policy import Policy, load
from bailee.policy.document import Language
from bailee.words import Words, words

if TYPE_CHECKING:
    from bailee.client.machine import ClientMachine

SettingsOption = Annotated[
    str | None,
    typer.Option("--settings", metavar="JSON|FILE", help="Settings for this run."),
]
DocumentOption = Annotated[
    Path | None,
    typer.Option("--document", metavar="FILE", help="A policy document (else the shipped one)."),
]


app = typer.Typer(
    help="Show every flow from this machine: state, destination, contents, and who decided."
)
JsonOption = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
DiagramOption = Annotated[bool, typer.Option("--diagram", help="A picture of the arrows.")]
FlowArgument = Annotated[
    str, typer.Argument(metavar="FLOW", help="metrics, errors, bug_report or survey.")
]


@app.callback(invoke_without_command=True)
def flows(  # noqa: PLR0917 - each is an option
    context: typer.Context,
    as_json: JsonOption = False,
    diagram: DiagramOption = False,
    settings: SettingsOption = None,
    document: DocumentOption = None,
    lang: LanguageOption = None,
) -> None:
    """Show every flow from this machine; the same as `bailee flows list`."""
    if context.invoked_subcommand is None:
        list_flows(as_json, diagram, settings, document, lang)


@app.command("list")
def list_flows(
    as_json: JsonOption = False,
    diagram: DiagramOption = False,
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
        if (files.data_folder() / TOLD_BOUNDS).exists():
            from bailee.client.told_bounds import with_told  # here: it needs more than the base

            holding = with_told(holding, files.data_folder())
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
            said = words(language, "terminal")
            _tell(found, said)
            console().print(f"\n{said('flows.stays')}{stays(policy, holding, language)}")
            console().print(said("flows.note"), style="dim")


@app.command()
def off(flow: FlowArgument, as_json: JsonOption = False, lang: LanguageOption = None) -> None:
    """Turn a flow off: what waits of it is deleted, reports that were sent are withdrawn. Prints
    the receipt.
    """
    with reporting("agent"):
        from bailee.client.flow_acts import turn_off

        _act(turn_off, "off", flow, as_json, lang)


@app.command()
def on(flow: FlowArgument, as_json: JsonOption = False, lang: LanguageOption = None) -> None:
    """Take back that you turned a flow off, where nothing else keeps it off."""
    with reporting("agent"):
        from bailee.client.flow_acts import turn_on

        _act(turn_on, "on", flow, as_json, lang)


@app.command()
def receipts(as_json: JsonOption = False, lang: LanguageOption = None) -> None:
    """Every time a flow was turned off or on here: when, by whom, and what that deleted."""
    with reporting():
        acts = FlowChoices(files.data_folder()).acts()
        if as_json:
            print_json([act.as_json() for act in acts])
            return
        said = words(spoken(lang), "terminal")
        if not acts:
            say(said("flows.history_none"))
            return
        rows = [
            (
                act.id,
                moment(act.at.isoformat()),
                act.flow,
                said("command.on" if act.on else "command.off"),
                act.who,
                act.way,
                len(act.deleted),
                ", ".join(one.receipt or f"{one.report}: {one.why}" for one in act.reports),
            )
            for act in acts
        ]
        names = ("at", "flow", "state", "who", "way", "deleted", "taken")
        columns = (said("flows.history"), *(said(f"flows.history_{name}") for name in names))
        console().print(table(columns, rows, right=(said("flows.history_deleted"),)))


def _act(
    act: Callable[[ClientMachine, str, str], FlowAct],
    verb: str,
    flow: str,
    as_json: bool,
    lang: Language | None,
) -> None:
    from bailee.client.machine import ClientMachine

    machine = ClientMachine.open(here())
    warn(machine.settings)
    done = act(machine, flow, f"bailee flows {verb}")
    if as_json:
        print_json(done.as_json())
        return
    language = spoken(lang)
    state = machine.afresh().flow(flow, language)
    for text in told(done, state, words(language, "terminal")):
        say(text)


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
    own = str(FlowChoices(files.data_folder()).file)
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
        if flow.name in FLOWS and (flow.on or flow.place == own):
            verb = "off" if flow.on else "on"
            line = f"{said(f'flows.verb_{verb}')}bailee flows {verb} {flow.name}"
            out.print(f"      {line}", style="dim")
