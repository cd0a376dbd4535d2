"""`bailee run -- CMD`: another coding agent, on these terms."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bailee.cli.errors import reporting
from bailee.cli.flows import SettingsOption, warn
from bailee.cli.show import say, size
from bailee.cli.speaking import spoken
from bailee.cli.surroundings import here
from bailee.client.flows import shown
from bailee.errors import BaileeError, InputError, StorageError
from bailee.json_values import Json

if TYPE_CHECKING:
    from bailee.client.agents import Launch, LaunchTerms
    from bailee.client.bounds_question import BoundsQuestion
    from bailee.client.cleaning_plan import CleaningPlan
    from bailee.client.egress import EgressWatch
    from bailee.client.lifetimes import LocalDue
    from bailee.client.machine import ClientMachine

_SECRET = frozenset(
    {
        "ANTHROPIC_AUTH_TOKEN",
        "ANTHROPIC_API_KEY",
        "ANTHROPIC_FOUNDRY_API_KEY",
        "GEMINI_API_KEY",
        "OPENAI_API_KEY",
        "OTEL_EXPORTER_OTLP_HEADERS",
    }
)
_OWN = frozenset({"GEMINI_CLI_CUSTOM_HEADERS"})  # the person's own headers may be secret
HOW = {
    "context_settings": {
        "allow_extra_args": True,
        "ignore_unknown_options": True,
        "allow_interspersed_args": False,
    }
}
"""How the command is built."""


def run(
    command: Annotated[
        list[str],
        typer.Argument(metavar="-- CMD [ARGS]...", help="claude, codex, gemini, opencode, aider…"),
    ],
    *,
    watch_egress: Annotated[
        bool,
        typer.Option("--watch-egress", help="Report every host it contacts against the switches."),
    ] = False,
    only_promised: Annotated[
        bool,
        typer.Option("--only-promised", help="Refuse the hosts that the switches do not promise."),
    ] = False,
    report: Annotated[
        Path | None, typer.Option("--report", metavar="FILE", help="Write the report as JSON.")
    ] = None,
    direct: Annotated[
        bool, typer.Option("--direct", help="Leave the model's address and credential as they are.")
    ] = False,
    show: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be set and deleted; run nothing.")
    ] = False,
    settings: SettingsOption = None,
) -> None:
    """Run another agent so that it uses the gateway, respects the switches and forgets on time."""
    from bailee.cli.local_files import planned
    from bailee.client import agents
    from bailee.client.bounds_question import BoundsQuestion
    from bailee.client.egress import EgressWatch
    from bailee.client.machine import ClientMachine
    from bailee.client.run_session import session_of
    from bailee.client.sender import network

    with reporting("agent"):
        machine = ClientMachine.open(here(), option=settings)
        warn(machine.settings)
        program = shutil.which(command[0])
        if program is None and not show:
            raise InputError(
                "There is no such program.", code="not_found", hint="bailee run -- claude"
            )
        agent = agents.known(command)
        asked = BoundsQuestion(machine)
        machine = asked.afresh()
        if (whose := _document(machine, asked, show=show)) is not None:
            _say(whose)
        own = {name: chosen.value for name, chosen in machine.settings.env.items()}
        under = agents.terms(
            machine.policy,
            machine.settings,
            key=machine.credential,
            keep_days=machine.keep_days,
            direct=direct,
            session=""
            if show
            else session_of(machine.data, agent, command[1:], Path.cwd(), str(uuid.uuid4())),
            environment={**os.environ, **own},
            helper=_helper() if machine.signed_in else None,
        )
        made = agents.launch(agent, under)
        if show:
            _show(machine, agent, made, command, direct=direct)
            return
        if under.key is None and not direct:
            _say("no bailee key is set (BAILEE_API_KEY): the agent's own credential is passed on")
        for note in made.notes:
            _say(note)
        _sure_of_the_clock(machine)
        with _told_of():
            if said := machine.tidy():
                _say(said)
        told: Callable[[LocalDue], bool] = _nothing
        if agent is not None:
            with _told_of():
                told = _retain(machine, agent)
        environment, refused = _environment(machine, made)
        with ExitStack() as held:
            watch = None
            looking = watch_egress or only_promised or report is not None
            if looking or refused:
                may = agents.promised(agent, under, machine.policy, machine.settings)
                entered = held.enter_context(
                    EgressWatch(may, network(machine.settings), only_promised, refused)
                )
                environment |= entered.environment if looking else entered.for_tls_alone
                watch = entered if looking else None
            assert program is not None
            status = _carry(program, [*made.arguments, *command[1:]], environment, watch)
        if watch is not None:
            _tell(watch, under, report)
        if agent is not None and machine.keep_days == 0:
            with _told_of():
                _delete(planned(machine, agent), agent, told)
    raise typer.Exit(status)


def _document(machine: ClientMachine, asked: BoundsQuestion, *, show: bool) -> str | None:
    """By whose document's statements the agent is started, where that is to be said."""
    if asked.server is None:
        return None  # there is no other than the one that ships with bailee
    told = machine.settings.told
    if told is None:
        return (
            f"{shown(asked.server.address)} has not said what its policy document states of "
            "agents: started by the one that ships with bailee"
        )
    name = f"the policy document of {told.place} ({told.document or 'without a digest'})"
    if not asked.heard:
        return f"no answer from {told.place}: started by {name}, as it said last"
    return f"started by {name}" if show else None


def _helper() -> str:
    """The command that prints a fresh token."""
    return shlex.join([shutil.which("bailee") or sys.argv[0], "token"])


def _carry(
    program: str, arguments: list[str], environment: dict[str, str], watch: EgressWatch | None
) -> int:
    """Run it to its end, on this terminal; its exit status, as a shell tells it."""
    # The terminal sends an interrupt to both; what it means is for the agent to decide. A handler
    # that does nothing is not inherited, as ignoring would be. An end that is asked for before
    # there is a process is for it all the same.
    process: subprocess.Popen[bytes] | None = None
    early: list[int] = []

    def passed_on(number: int, _frame: object) -> None:
        if process is None:
            early.append(number)
        else:
            process.send_signal(number)

    before = {
        number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGQUIT)
    }
    before |= {
        number: signal.signal(number, passed_on) for number in (signal.SIGTERM, signal.SIGHUP)
    }
    try:
        process = subprocess.Popen([program, *arguments], env=environment)  # noqa: S603
        for number in early:
            process.send_signal(number)
        with ExitStack() as held:
            if watch is not None:
                held.enter_context(watch.looking_at(process.pid))
            status = process.wait()
    finally:
        for changed, handler in before.items():
            signal.signal(changed, handler)
    return status if status >= 0 else 128 - status


def _environment(machine: ClientMachine, made: Launch) -> tuple[dict[str, str], frozenset[str]]:
    """The variables under which it runs, and the hosts that are to be refused."""
    from bailee.client.local_key import make_private, write_private
    from bailee.client.rooted_settings import is_roots_alone, see_to

    refused: frozenset[str] = frozenset()
    held = {name: chosen.value for name, chosen in machine.settings.env.items()}
    environment = {**os.environ, **held, **made.env}
    for name in made.without - set(made.env):
        environment.pop(name, None)
    for name, (variable, content) in made.files.items():
        path = machine.data / "launch" / name
        beneath = environment.get(variable) or made.beneath.get(variable)
        whole = content if beneath is None else _over(Path(beneath), content)
        try:
            make_private(path.parent)
            write_private(path, whole.encode())
        except OSError as error:
            raise StorageError(f"{path} can't be written ({error.strerror}).") from error
        if made.unheeded is None or is_roots_alone(path):
            environment[variable] = str(path)
            continue
        see_to(made.unheeded, Path.home(), None if beneath is None else Path(beneath))
        refused |= made.unheeded.hosts
        _say(
            "it heeds settings for the machine only in a file that is root's alone, so none of "
            f"bailee's. Instead a proxy that it gets refuses {_listed(refused)}. "
            "Whatever else it does, your own settings of it decide: its updates, say"
        )
    for place, stand_in in made.fresh.items():
        _freshen(Path.home() / place, stand_in)
    return environment, refused


def _listed(hosts: frozenset[str]) -> str:
    return ", ".join(sorted(hosts))


def _over(beneath: Path, content: str) -> str:
    """Settings laid over those of a file that is there, which go on counting beneath them."""
    try:
        held = json.loads(beneath.read_bytes())
    except FileNotFoundError:
        return content
    except (OSError, ValueError) as error:
        raise InputError(
            f"{beneath} can't be read as JSON, and holds for this agent.",
            code="configuration",
            hint="fix the file, or unset the variable that names it",
        ) from error
    return json.dumps(_laid(held, json.loads(content)))


def _laid(held: Json, over: Json) -> Json:
    if not isinstance(held, dict) or not isinstance(over, dict):
        return over
    return {**held, **{name: _laid(held.get(name), value) for name, value in over.items()}}


def _freshen(path: Path, content: bytes) -> None:
    """Let an agent find what it would fetch otherwise: the file that is there, else a stand-in."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and path.stat().st_size > 2:  # it writes {} when it could not fetch
            path.touch()
        else:
            path.write_bytes(content)
    except OSError as error:
        raise StorageError(f"{path} can't be written ({error.strerror}).") from error


def _sure_of_the_clock(machine: ClientMachine) -> None:
    """Ask at the terminal about a clock that may have jumped; elsewhere each part says so."""
    from bailee.cli.local_files import clock_is_right

    jumped = machine.clock_in_doubt()
    if jumped is not None:
        clock_is_right(machine, jumped)


def _retain(machine: ClientMachine, agent: str) -> Callable[[LocalDue], bool]:
    """Apply local retention to the agent's own files: tell of what goes, and delete what an earlier
    run has told of. What may go at the end of this one.
    """
    from bailee.cli.local_files import doubt, planned
    from bailee.client.clock_mark import ClockJump

    found = planned(machine, agent)
    answer = machine.tell_and_choose(agent, found.dues)
    if isinstance(answer, ClockJump):
        _say(f"{agent}: {doubt(answer)}")
        return _nothing
    news, may = answer
    if news:
        _say(_told(agent, found, news))
    with _told_of():
        _delete(found, agent, may)
    return may


def _told(agent: str, found: CleaningPlan, news: list[LocalDue]) -> str:
    """What goes when, and what can be done about it."""
    past = sum(any(due in news for due in one.dues) for one in found.past)
    coming = [due for due in news if due.at > found.now]
    going = [one for one in found.sessions if one.due in coming]
    what = []
    if past:
        files = "1 file" if past == 1 else f"{past} files"
        what.append(f"{files} of {agent} past their time will be deleted at the next run")
    if coming:
        first = min(due.at for due in coming).astimezone().date()
        some = "1 session" if len(going) == 1 else f"{len(going)} sessions" if going else "files"
        what.append(f"{some} of {agent} will be deleted from {first} on")
    return (
        f"{'; '.join(what)}. To see which: bailee local list --of {agent}, bailee local clean "
        f"--of {agent} --dry-run. To keep one: bailee local keep SESSION --of {agent}"
    )


def _delete(found: CleaningPlan, agent: str, may: Callable[[LocalDue], bool]) -> None:
    from bailee.cli.local_files import carried_out, not_cleaned

    done, failed = carried_out(found, may)
    if done:
        total = sum(one.size for one in done)
        _say(f"{len(done)} of {agent}'s files were past their time: {size(total)} deleted")
    if failed:
        raise not_cleaned(failed)


@contextmanager
def _told_of() -> Iterator[None]:
    """What keeps retention from being done is said, and keeps nobody from their work."""
    try:
        yield
    except BaileeError as error:
        _say(error.message)
        if error.hint is not None:
            _say(f"hint: {error.hint}")


def _nothing(_due: LocalDue) -> bool:
    return False


def _show(
    machine: ClientMachine, agent: str | None, made: Launch, command: list[str], *, direct: bool
) -> None:
    from bailee.cli.local_files import planned

    for why, lines in _by_reason(machine, made, direct=direct).items():
        for reason in why:
            say(f"# {reason}")
        for line in lines:
            say(line)
    say(" ".join([command[0], *made.arguments, *command[1:]]))
    if agent is not None:
        for one in planned(machine, agent).past:
            what = "" if one.records is None else f" ({one.records} records)"
            say(f"past its time: {one.path}{what}")
    for note in made.notes:
        _say(note)


def _by_reason(
    machine: ClientMachine, made: Launch, *, direct: bool
) -> dict[tuple[str, ...], list[str]]:
    """What is set and taken away, a line for each variable, under why it is."""
    from bailee.client.launch_reasons import reasons

    lines = {}
    for name in sorted(made.env):
        value = "(your bailee key)" if name in _SECRET else made.env[name]
        value = "(your own, and the id of a session)" if name in _OWN else value
        lines[name] = f"{name}={value}"
    for name in sorted(made.without - set(made.env)):
        lines[name] = f"unset {name}"
    for variable, content in made.files.values():
        lines[variable] = f"{variable}=(a file with {content})"
    found: dict[tuple[str, ...], list[str]] = {}
    for name, line in lines.items():
        why = reasons(name, machine.policy, machine.settings, spoken(None), direct=direct)
        found.setdefault(tuple(why), []).append(line)
    return found


def _tell(watch: EgressWatch, under: LaunchTerms, report: Path | None) -> None:
    found = sorted(watch.contacts.values(), key=lambda one: (one.promised, one.host))
    if report is not None:
        content = {
            "hosts": [one.as_json() for one in found],
            "promised": sorted(watch.promised),
            "kept": not watch.broken,
            "on": sorted(under.on),
        }
        try:
            report.write_text(json.dumps(content, indent=1) + "\n")
        except OSError as error:
            raise StorageError(f"{report} can't be written ({error.strerror}).") from error
    _say(f"it contacted {len(found)} host{'' if len(found) == 1 else 's'}")
    for one in found:
        verdict = "promised" if one.promised else "NOT PROMISED"
        more = ", went round the proxy" if one.round_proxy else ""
        more += f", {one.refused} refused" if one.refused else ""
        more += f", {one.unreached} not reached" if one.unreached else ""
        volume = "" if one.round_proxy else f", {size(one.sent)} out, {size(one.received)} in"
        _say(f"  {one.host}: {verdict}, {max(one.count, 1)} connections{volume}{more}")
    if watch.broken:
        _say("what the switches promise was not kept by this program")


def _say(text: str) -> None:
    say(f"bailee: {text}", err=True)
