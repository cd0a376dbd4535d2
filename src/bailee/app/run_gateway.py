"""Running a gateway of its own until it is told to stop."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import sys
import threading
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

import uvloop

from bailee import config
from bailee.admission import raise_limit, share_out
from bailee.app.gateway_role import GatewayRole, RunningGateway, check_settings
from bailee.app.process import SWITCH, drained, leave_no_core, say_variables, thread_ended
from bailee.app.said import log_as_text, use
from bailee.clock import starting_at
from bailee.home import find
from bailee.home.set_clock import time_set
from bailee.node.reader import HomeReader
from bailee.node.recording_beside import open_member_spool
from bailee.shown import line

_LOOK: Final = 1.0  # seconds


def run_gateway(
    given_home: Path | None,
    command_line: Mapping[str, str | int | None],
    environment: Mapping[str, str],
    *,
    as_json: bool,
) -> None:
    """Serve beside the server that has the home, until SIGINT or SIGTERM. Of `given_home` there may
    be nothing: then the settings are those of the environment.

    Raises:
        InputError: a setting is wrong, or there are too few descriptors.
        StorageError: a database or the root key can't be reached.
        IntegrityError: no server of this version has opened the home.
    """
    share_out(raise_limit())
    os.umask(0o077)
    leave_no_core()
    log_as_text()
    threading.excepthook = thread_ended
    home = find(given_home, environment)
    home.check()
    settings = config.load(home.settings_file, environment, command_line)
    use(settings.text("log.format") or "text")
    say_variables(environment, settings)
    check_settings(settings, home)
    now = time_set(home, environment)
    clock = None if now is None else starting_at(now)
    with (
        closing(
            HomeReader(home, settings=settings, clock=clock, environment=environment)
        ) as reader,
        closing(open_member_spool(reader, settings, "gateway", environment)) as spool,
    ):
        uvloop.run(_serve(GatewayRole(settings, reader, spool), reader, as_json=as_json))
        if (why := reader.lost()) is not None:
            raise why


async def _serve(role: GatewayRole, reader: HomeReader, *, as_json: bool) -> None:
    """Serve until told to stop, or until nothing that it would write is taken any more."""
    sys.setswitchinterval(SWITCH)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with role as running:
        (_announce_json if as_json else _announce)(running)
        gc.freeze()  # what is there now stays
        while not stop.is_set() and reader.lost() is None:
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _LOOK)
        await drained(role.drain, stop)


def _announce_json(running: RunningGateway) -> None:
    ready = {
        "ready": True,
        "gateway": running.gateway,
        "health": running.health,
        "upstream": running.upstream,
        "pid": os.getpid(),
    }
    sys.stdout.write(json.dumps(ready, separators=(",", ":")) + "\n")
    sys.stdout.flush()


def _announce(running: RunningGateway) -> None:
    sys.stdout.write(
        f"""\
A gateway of bailee is ready.

  gateway   {running.gateway}
  health    {running.health or "off"}
  upstream  {line(running.upstream)}
"""
    )
    sys.stdout.flush()
