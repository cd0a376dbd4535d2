"""`bailee flows`: what leaves this machine, what does not, and who decided."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.text import Text

from bailee.cli.errors import reporting
from bailee.cli.show import console, print_json, say, write_text
from bailee.client import files
from bailee.client.flow_words import in_chinese, said
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
        if lang == "zh":
            found = [in_chinese(flow) for flow in found]
        if as_json:
            print_json([flow.as_json() for flow in found])
        elif diagram:
            out = console()
            # For width only: the picture is text, and must not be wrapped or marked up again.
            kept = [stays(policy, holding, lang)]
            write_text(draw(found, kept, min(out.width, 100), lang) + "\n")
        else:
            words = _WORDS[lang]
            _tell(found, words)
            console().print(Text(f"\n{words['stays']}{stays(policy, holding, lang)}"))
            console().print(Text(words["note"], style="dim"))


def warn(holding: Settings) -> None:
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


def stays(policy: Policy, holding: Settings, lang: Language = "en") -> str:
    """What is kept on this machine, and how long, in words."""
    chosen = holding.keep_days
    days = policy.local_transcript_days(None if chosen is None else chosen.value)
    decided = "the default" if chosen is None else f"cleanupPeriodDays in {chosen.where}"
    if lang == "zh":
        kept = f"会话记录，加密，保留 {days} 天" if days else "不保留会话记录"
        return f"{kept}（依据：{said(decided)}）。"
    by = decided.replace("the default", "by default") if chosen is None else f"by {decided}"
    if days == 0:
        return f"no transcripts are kept, {by}."
    return f"transcripts, encrypted, for {days} day{'' if days == 1 else 's'}, {by}."


_WORDS: Final[dict[Language, dict[str, str]]] = {
    "en": {
        "on": "on ",
        "off": "off",
        "to": "to ",
        "would": "would go to ",
        "decided": "decided by ",
        "stays": "Stays here: ",
        "note": "Any value of a DISABLE_… variable that is not empty turns its flow off, 0 too."
        "  Exact bytes: bailee outbox",
    },
    "zh": {
        "on": "开",
        "off": "关",
        "to": "发往：",
        "would": "若开启则发往：",
        "decided": "依据：",
        "stays": "留在本机：",
        "note": "DISABLE_… 变量只要不为空，任何值（0 也算）都会关闭相应的数据流。"
        "确切的字节：bailee outbox",
    },
}


def _tell(found: list[Flow], words: dict[str, str]) -> None:
    out = console()
    for flow in found:
        mark, style = (words["on"], "bold green") if flow.on else (words["off"], "dim")
        head = Text()
        head.append(f" {mark} ", style=style)
        head.append(f" {flow.label}", style="bold")
        head.append(f"  {flow.name}", style="dim")
        out.print(head)
        way = "to" if flow.on or flow.destination in _NOWHERE else "would"
        out.print(Text(f"      {words[way]}{flow.destination}"))
        out.print(Text(f"      {flow.carries}"))
        clause = f"  ({flow.clause})" if flow.clause else ""
        out.print(Text(f"      {words['decided']}{flow.decided_by}{clause}", style="dim"))


_NOWHERE: Final = ("nowhere", said("nowhere"))
