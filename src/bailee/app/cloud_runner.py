"""`bailee cloud runner`: a runner's process, until its server goes or it is told to stop.

It opens no home, no keyring and no database: of the home it uses the settings and one socket.

Rows: C1.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Coroutine, Mapping
from contextlib import suppress

import uvloop

from bailee import config
from bailee.app.cloud_running import limits
from bailee.app.process import leave_no_core
from bailee.cloud.image.store import DEFAULT, default_folder
from bailee.cloud.image.store import find as find_image
from bailee.cloud.machine import QemuMachines
from bailee.cloud.ports import Machines
from bailee.cloud.runners.runner import run
from bailee.cloud.runners.warm import WarmMachines
from bailee.config import Settings
from bailee.home import Home


def run_runner(home: Home, environment: Mapping[str, str], slots: int | None) -> None:
    """Lead machines until the server of `home` goes.

    Raises:
        InputError: a setting is wrong.
        MachineError: there is no server, or no machine can be had here.
    """
    os.umask(0o077)
    leave_no_core()
    settings = config.load(home.settings_file, environment, {})
    room = slots or settings.number("cloud.capacity")
    uvloop.run(until_told(_lead(home, settings, machines(settings, environment), room)))


async def _lead(home: Home, settings: Settings, machines: Machines, room: int) -> None:
    keep = settings.number("cloud.warm")
    if not keep:
        await run(home.runner_socket, machines, room)
        return
    async with WarmMachines(machines, limits(settings), keep) as warm:
        await run(home.runner_socket, warm, room)


async def until_told(work: Coroutine[object, None, None]) -> None:
    """Do this until it ends, or SIGINT or SIGTERM comes."""
    task = asyncio.ensure_future(work)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    with suppress(asyncio.CancelledError):
        await task


def machines(settings: Settings, environment: Mapping[str, str]) -> Machines:
    """The machines that can be had here.

    Raises:
        MachineError: code `no_machine`: there is no image.
    """
    folder = default_folder(environment)
    image = find_image(folder, settings.text("cloud.image") or DEFAULT)
    return QemuMachines(image, templates=folder / "templates")
