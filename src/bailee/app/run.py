"""Running a server until it is told to stop, and telling a person what it does meanwhile."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import uvloop

from bailee import config
from bailee.admission import raise_limit, share_out
from bailee.app import telemetry
from bailee.app.process import SWITCH, drained, leave_no_core, say_variables, thread_ended
from bailee.app.said import log_as_text, to_stderr, use
from bailee.app.serve import Running, Server
from bailee.app.wiring import ServerWiring
from bailee.clock import starting_at
from bailee.db.leases import Lease
from bailee.errors import BaileeError
from bailee.gateway.summary import ExchangeSummary
from bailee.gateway.taking_apart import COMMAND
from bailee.home import Home, HomeLock, find
from bailee.home.set_clock import time_set
from bailee.node.databases import leases
from bailee.node.node import Node
from bailee.node.verifying import known
from bailee.operations.beside import closed_by
from bailee.operations.codec import plain
from bailee.policy import load
from bailee.shown import line
from bailee.vault.workbench_process import WorkbenchProcess

_LINES_WAITING = 1000
_LONGEST_NAME = 60
_MOST_DAMAGED = 20


def run_server(
    given_home: Path | None,
    command_line: Mapping[str, str | int | None],
    environment: Mapping[str, str],
    *,
    plan: str,
    test_clock: bool,
    as_json: bool,
) -> None:
    """Serve a home until SIGINT or SIGTERM.

    Raises:
        InputError: a setting is wrong, another process has the home, or there are too few
            descriptors.
        StorageError: the home can't be written.
    """
    share_out(raise_limit())  # before anything is opened, or made
    os.umask(0o077)  # whatever a library writes into the home is for its owner alone
    leave_no_core()
    log_as_text()
    threading.excepthook = thread_ended
    home = find(given_home, environment)
    home.make(test_clock=test_clock)
    settings = config.load(home.settings_file, environment, command_line)
    use(settings.text("log.format") or "text")
    say_variables(environment, settings)  # what is refused below may be for want of one
    now = time_set(home, environment)
    clock = None if now is None else starting_at(now)
    told = _Lines()
    apart = partial(WorkbenchProcess, COMMAND)
    wiring = ServerWiring(home, settings=settings, clock=clock, bench=apart)
    with HomeLock(home), Node.over(wiring) as node:
        server = Server(
            wiring,
            node,
            plan=plan,
            always_key=as_json,
            on_exchange=_ignore if as_json else lambda summary: told.put(describe(summary, node)),
        )
        _say_document(node)
        _say_closed(node)
        ready = _announce_json if as_json else _announce
        held = leases(node.data, node.keyring.engine)
        uvloop.run(
            _serve(server, lambda running: ready(home, running), partial(_say_damage, node), held)
        )
    told.close()
    for lease in held:
        if lease.lost:
            raise lease.why()


def _ignore(_summary: ExchangeSummary) -> None:
    pass


async def _serve(
    server: Server,
    ready: Callable[[Running], None],
    behind: Callable[[], None],
    held: Sequence[Lease],
) -> None:
    """Serve until told to stop. `ready` is called after the first sweep; then `behind`, apart.
    Where a lease that is `held` is lost, what is under way is not waited for.
    """
    sys.setswitchinterval(SWITCH)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def lost(lease: Lease) -> None:
        to_stderr(f"bailee: {lease.why().message}")
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(stop.set)

    for lease in held:
        lease.when_lost(partial(lost, lease))
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with server as running:
        stopping = asyncio.ensure_future(stop.wait())
        swept = asyncio.ensure_future(server.swept.wait())
        await asyncio.wait((stopping, swept), return_when=asyncio.FIRST_COMPLETED)
        if swept.done() and not stopping.done():
            ready(running)
            await asyncio.to_thread(behind)
            # What is there now stays. Looked through for garbage, it took the loop a tenth of a
            # second each time, as often as somebody had many requests under way.
            gc.freeze()
        swept.cancel()
        await stopping
        if not any(lease.lost for lease in held):
            await drained(server.drain, stop)


def _say_document(node: Node) -> None:
    """Say that the settings name another document than the one that holds, if they do."""
    named = node.settings.text("policy.document")
    if named is None:
        return
    try:
        found = load(Path(named))
    except BaileeError:
        to_stderr(f"bailee: {line(named)}, which policy.document names, can't be used as one.")
        return
    if found.sha256 != node.policy.sha256:
        to_stderr(
            f"bailee: the policy document of {node.policy.version} holds, and not the one that "
            "policy.document names, which is a new home's first alone. hint: to let it hold, "
            f"bailee policy activate {line(named)} --reason ...; else take the setting out"
        )


def _say_closed(node: Node) -> None:
    """Say which settings go further than the policy document: it holds, and not they."""
    for one in closed_by(node.settings, node.policy):
        to_stderr(
            f"bailee: the setting {one.setting} goes further than the policy document ({one.by}), "
            "and has no effect beyond it. hint: bailee policy show says how far the document goes"
        )


def _say_damage(node: Node) -> None:
    """Say on standard error what is known to be damaged; the rest is served all the same."""
    try:
        found = known(node)
    except BaileeError as error:
        to_stderr(f"damaged: {error.message}")
        return
    for one in found[:_MOST_DAMAGED]:
        to_stderr(f"damaged: {one.where}: {one.what}")
    if found:
        to_stderr(f"{len(found)} damaged. hint: bailee verify checks all of the home")


def _announce_json(home: Home, running: Running) -> None:
    ready = {
        "ready": True,
        "gateway": running.gateway,
        "console": running.console,
        "console_api": running.console_api,
        "key": running.key,
        "key_is_for_this_run": running.key_is_for_this_run,
        "key_terms": plain(running.key_terms),
        "sign_in": running.sign_in,
        "upstream": running.upstream,
        "ingest": telemetry.addresses(running.ingest, running.ingest_key),
        "health": running.health,
        "home": str(home.path),
        "pid": os.getpid(),
    }
    sys.stdout.write(json.dumps(ready, separators=(",", ":")) + "\n")
    sys.stdout.flush()


def _announce(home: Home, running: Running) -> None:
    # What a service writes is kept by others, for as long as they like: no keys, no link.
    seen = sys.stdout.isatty()
    made = running.key if seen else None
    why = "written to a terminal alone" if running.key else "an earlier key"
    key = made or f"bl_…  ({why}; make one with `bailee key create --plan PLAN`)"
    ingest_key = (
        f"\n            (key for sending alone: {running.ingest_key})"
        if running.ingest_key and seen
        else ""
    )
    sign_in = (
        f"{running.sign_in}\n            (the link signs in once, within 15 minutes; another: "
        "bailee sign-in)"
        if seen
        else f"{running.console}\n            (a link that signs in: bailee sign-in)"
    )
    terms = f"\n            ({line(running.key_terms.in_words)})" if running.key_terms else ""
    text = f"""\
bailee is ready.

  gateway   {running.gateway}
  console   {sign_in}
  ingest    {running.ingest or "off"}{ingest_key}
  health    {running.health or "off"}
  home      {line(str(home.path))}
  upstream  {line(running.upstream)}
  key       {key}{terms}

Point a client at it:

  export ANTHROPIC_BASE_URL={running.gateway}
  export ANTHROPIC_AUTH_TOKEN={made or "bl_…"}
  claude                                      # or any client of the Messages API

Each exchange, as it ends:
"""
    sys.stdout.write(text)
    sys.stdout.flush()


def _to_further(summary: ExchangeSummary, node: Node) -> str:
    """Which upstream it went to, where that was not its channel's first."""
    further = any(one.name == summary.upstream for one in node.settings.further)
    return f" to {summary.upstream}" if further else ""


def describe(summary: ExchangeSummary, node: Node) -> str:
    """One line about an exchange: what happened and what was decided; nothing of its content."""
    started = datetime.fromtimestamp(summary.started, UTC)
    kept = (
        f"kept {summary.terms.period} ({summary.terms.clause}), {_training(summary, node)}"
        if summary.terms is not None
        else f"not kept ({', '.join(filter(None, (summary.not_kept, summary.clause)))})"
    )
    who = f"{line(summary.key_name, _LONGEST_NAME)} ({summary.plan})" if summary.owner else "nobody"
    parts = (
        f"{started:%H:%M:%S}",
        who,
        f"{summary.method} {summary.path}{_to_further(summary, node)}",
        f"{summary.status} {summary.outcome}",
        f"{summary.bytes_in} B in, {summary.bytes_out} B out, {summary.seconds:.2f} s",
        kept,
    )
    return line("  ".join(parts))


def _training(summary: ExchangeSummary, node: Node) -> str:
    decision = node.deciding.training_now(node.accounts.get(summary.owner), summary.channel)
    return f"{'trained on' if decision.effect == 'allow' else 'not trained on'} ({decision.clause})"


class _Lines:
    """Lines to standard output, written by a thread: a reader that stands still stops nothing.

    `put` is for any thread, and never waits. When more than a thousand lines wait, further ones are
    counted and left out.
    """

    def __init__(self) -> None:
        self._queue: queue.Queue[str | None] = queue.Queue(_LINES_WAITING)
        self._left_out = 0
        self._thread = threading.Thread(target=self._write, name="lines", daemon=True)
        self._thread.start()

    def put(self, line: str) -> None:
        """Hand a line over, or leave it out when too many wait."""
        try:
            if self._left_out:
                self._queue.put_nowait(f"({self._left_out} lines left out)")
                self._left_out = 0
            self._queue.put_nowait(line)
        except queue.Full:
            self._left_out += 1

    def close(self) -> None:
        """Let what waits be written, for a second at the most."""
        try:
            self._queue.put_nowait(None)
        except queue.Full:
            return
        self._thread.join(timeout=1)

    def _write(self) -> None:
        while (line := self._queue.get()) is not None:
            try:
                sys.stdout.write(line + "\n")
                if self._queue.empty():
                    sys.stdout.flush()
            except (OSError, ValueError):
                return
