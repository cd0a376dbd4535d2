"""`bailee policy settings` and `bailee doctor`: what agents must obey, and whether they do."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from bailee.cli.errors import reporting
from bailee.cli.policy_options import (
    DocumentOption,
    JsonOption,
    OwnOption,
    loaded,
)
from bailee.cli.reach import PlaceOption
from bailee.cli.show import console, print_json, say, table, write_file, write_text
from bailee.cli.speaking import LanguageOption, spoken
from bailee.cli.surroundings import here
from bailee.client.obeying import settings_places
from bailee.managed import ManagedAgent, ManagedSettings, settings_for
from bailee.managed.checking import CheckedValue, check
from bailee.policy.document import Language
from bailee.words import Words, words

_DIGEST = 12
ProviderOption = Annotated[
    str, typer.Option("--provider", metavar="NAME", help="Where the agent's model is.")
]
GatewayOption = Annotated[
    str | None,
    typer.Option("--gateway", metavar="URL", help="bailee's address, where a file can name it."),
]


def settings(  # noqa: PLR0917 - each is an option
    agent: Annotated[ManagedAgent, typer.Option("--for", help="Which agent.")],
    provider: ProviderOption = "api",
    gateway: GatewayOption = None,
    document: DocumentOption = None,
    own: OwnOption = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write it, as the agent reads it."),
    ] = None,
    lang: LanguageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compile an agent's managed settings, each value with the clause that it makes true."""
    with reporting():
        made = settings_for(loaded(document, own), agent, provider=provider, gateway=gateway)
        if output is not None:
            write_file(output, made.file.text())
        if as_json:
            print_json(made.as_json())
        elif output is None:
            _show(made, words(spoken(lang), "terminal"))


def doctor(  # noqa: PLR0917 - each is an option
    agent: Annotated[
        ManagedAgent | None,
        typer.Option("--for", help="One agent (else bailee, and those that are installed here)."),
    ] = None,
    provider: ProviderOption = "api",
    gateway: GatewayOption = None,
    document: DocumentOption = None,
    own: OwnOption = None,
    lang: LanguageOption = None,
    service: Annotated[
        bool,
        typer.Option(
            "--service",
            help="Check instead whether this machine is fit to serve the home: disk, clock, keys, "
            "certificates, public names, upstreams, providers, sandbox, machines.",
        ),
    ] = False,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Check whether agents on this machine are under the settings that the policy compiles.

    It goes by the document of the server that a key is set of, or that you are signed in at; where
    that says nothing, by the shipped one.

    With --service, whether the machine and what is around it are fit to serve. Changes nothing, and
    asks outside without a credential.

    Exit status 1: a value is absent, another, unknown, or can be changed by others than root; of
    the service, something does not work.
    """
    if service:
        from bailee.cli.doctor import look

        with reporting("server"):
            well = look(home, words(spoken(lang, as_json=as_json), "terminal"), as_json=as_json)
        if not well:
            raise typer.Exit(1)
        return
    with reporting():
        folder = here()
        agents = _installed() if agent is None else [agent]
        made = None
        if document is None and own is None:
            made = _of_server(folder, agents, provider, gateway, spoken(lang, as_json=as_json))
        if made is None:
            policy = loaded(document, own)
            made = {
                one: settings_for(policy, one, provider=provider, gateway=gateway) for one in agents
            }
        found = {
            one: check(wanted, settings_places(one, Path.home(), os.environ))
            for one, wanted in made.items()
        }
        if as_json:
            print_json({one.value: list(map(_as_json, them)) for one, them in found.items()})
        else:
            _tell(found, words(spoken(lang), "terminal"))
    if not all(value.obeyed for them in found.values() for value in them):
        raise typer.Exit(1)


def _of_server(
    folder: Path, agents: Sequence[ManagedAgent], provider: str, gateway: str | None, lang: Language
) -> dict[ManagedAgent, ManagedSettings] | None:
    """What these agents are told by the document of the person's server; None: it can't be asked.
    Says on standard error which document is gone by, where a server is known.
    """
    from bailee.client.compiled_question import compiled_by
    from bailee.client.flows import shown
    from bailee.client.machine import ClientMachine
    from bailee.client.told_bounds import server_of

    machine = ClientMachine.open(folder)
    server = server_of(machine.settings, machine.data)
    if server is None:
        return None
    made = compiled_by(machine, server, agents, provider=provider, gateway=gateway)
    said, place = words(lang, "terminal"), shown(server.address)
    if made is None:
        say(said("managed.not_asked", server=place), err=True)
        return None
    digest = next(iter(made.values())).document[:_DIGEST]
    say(said("managed.by_server", server=place, document=digest), err=True)
    return made


def _show(made: ManagedSettings, said: Words) -> None:
    write_text(made.file.text())
    rows = [(one.name, one.clause) for one in made.file.values]
    say("")
    say(said("managed.belongs", file=made.file.path))
    _print(said, ("key", "clause"), rows)
    if made.not_covered:
        say("")
        say(said("managed.not_covered"))
        told = [(said(f"managed.why_{one.reason}"), one.clause) for one in made.not_covered]
        _print(said, ("what", "clause"), told)


def _installed() -> list[ManagedAgent]:
    others = [one for one in ManagedAgent if one is not ManagedAgent.BAILEE]
    return [ManagedAgent.BAILEE, *(one for one in others if shutil.which(one.value) is not None)]


def _as_json(one: CheckedValue) -> dict[str, object]:
    return {
        "key": one.value.name,
        "state": one.state.value,
        "file": one.path,
        "administrators_alone": one.path is not None and not one.loose,
        "clause": one.value.clause,
    }


def _tell(found: dict[ManagedAgent, list[CheckedValue]], said: Words) -> None:
    for agent, them in found.items():
        obeyed = sum(one.obeyed for one in them)
        say(said("managed.in_all", agent=agent.value, number=obeyed, all=len(them)))
        rows = [
            (one.value.name, _state(one, said), one.path or "", one.value.clause)
            for one in them
            if not one.obeyed
        ]
        if rows:
            _print(said, ("key", "state", "file", "clause"), rows)
    if not all(one.obeyed for them in found.values() for one in them):
        say(said("managed.to_mend"))


def _state(one: CheckedValue, said: Words) -> str:
    state = said(f"managed.state_{one.state.value}")
    return said("managed.loose", state=state) if one.loose else state


def _print(said: Words, heads: tuple[str, ...], rows: Sequence[Sequence[str]]) -> None:
    made = table([said(f"managed.{head}") for head in heads], rows)
    for column in made.columns:
        column.overflow = "fold"  # a key that is cut can't be copied
    console().print(made)
