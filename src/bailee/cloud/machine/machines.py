"""Starts machines: from a template where one can be had, else by booting.

What isolates a machine is hardware virtualization (KVM) where it works, which is found out by
booting with it: a device that is there may still not run a guest. Otherwise the machine is
emulated, and says so; that is for development. When there is neither, nothing is started.

Rows: C1.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from bailee.cloud.channel.connection import Accept
from bailee.cloud.image.store import Image
from bailee.cloud.machine import disk
from bailee.cloud.machine.command_line import KVM, PROGRAM, Accelerator, Memory
from bailee.cloud.machine.confinement import delegated
from bailee.cloud.machine.machine import QemuMachine, ports_of
from bailee.cloud.machine.monitor import Told
from bailee.cloud.machine.process import Emulator, ask, new_scratch
from bailee.cloud.machine.template import (
    MAKING,
    Migration,
    Template,
    keep,
    locked,
    memory_of,
    restore,
    scratch_of,
    template_for,
)
from bailee.cloud.ports import End, MachineLimits, Service
from bailee.errors import MachineError

log = logging.getLogger(__name__)

_BOOT: Final = 180.0  # seconds for a guest to come up, on a machine that is busy
_RESTORED: Final = 60.0
_PROBE: Final = 15.0  # with KVM it takes one
_LEAST_MEMORY: Final = 256 << 20


def _unheard(event: str, data: Mapping[str, object]) -> None:
    """Nobody listens to what the monitor says."""


class QemuMachines:
    """Implements `ports.Machines` for one image.

    `scratch` is the folder whose file system holds scratch disks; nothing in it ever has a name.
    `templates` is the folder that keeps templates; None: every machine boots from nothing.
    `accelerator` is for tests and for those who know; None means: KVM if it works.
    """

    def __init__(
        self,
        image: Image,
        *,
        scratch: Path | None = None,
        templates: Path | None = None,
        accelerator: Accelerator | None = None,
    ) -> None:
        self._image = image
        self._templates = templates
        self._making = asyncio.Lock()
        self._scratch = scratch or Path(tempfile.gettempdir())
        self._accelerator = accelerator
        self._group = delegated()
        self._probing = asyncio.Lock()
        self._warned = False

    async def start(
        self,
        session: str,  # noqa: ARG002 — nothing on the host is named after it
        services: Mapping[str, Service],
        limits: MachineLimits,
    ) -> QemuMachine:
        """Start one for a session, ready to execute commands.

        Raises:
            InputError: there is no such service.
            MachineError: code `no_machine`.
        """
        ports = ports_of(services)
        see_that_it_can_be(limits)
        accelerator = await self.accelerator()
        self._warn(accelerator)
        machine = await self._restored(services.get, limits, accelerator)
        if machine is None:
            machine = await self._booted(services.get, limits, accelerator)
        try:
            await machine.begin(ports)
        except BaseException:
            await machine.destroy(End.STOPPED)
            raise
        return machine

    async def prepare(self, limits: MachineLimits) -> Template | None:
        """The template for machines with these limits, made now if it is not there.

        None when it can't be made, or when there is no folder for templates.
        """
        if self._templates is None:
            return None
        accelerator = await self.accelerator()
        found = await asyncio.to_thread(
            template_for, self._templates, self._image, limits, accelerator
        )
        async with self._making:
            if not found.exists:
                try:
                    await self._make_alone(found, limits, accelerator)
                except (MachineError, OSError) as error:
                    log.warning("no template can be made: %s", error)
                    return None
        return found

    async def accelerator(self) -> Accelerator:
        """What runs guests here; found out once."""
        async with self._probing:
            if self._accelerator is None:
                works = os.access(KVM, os.R_OK | os.W_OK) and await self._kvm_works()
                self._accelerator = Accelerator.KVM if works else Accelerator.EMULATION
            return self._accelerator

    async def _kvm_works(self) -> bool:
        limits = MachineLimits(memory=512 << 20, disk=256 << 20)
        try:
            emulator = await self._emulator(limits, Accelerator.KVM, lambda _: None)
            try:
                await emulator.ping(_PROBE)
            finally:
                await emulator.kill()
        except MachineError as error:
            log.info("KVM is here and does not run a guest: %s", error.message)
            return False
        return True

    async def _restored(
        self, accept: Accept, limits: MachineLimits, accelerator: Accelerator
    ) -> QemuMachine | None:
        """A machine from a template; None when it has to be booted."""
        template = await self.prepare(limits)
        if template is None:
            return None
        migration = Migration()
        try:
            emulator = await self._emulator(
                limits,
                accelerator,
                accept,
                memory=memory_of(template, limits),
                scratch=scratch_of(template, new_scratch(self._scratch, limits)),
                told=migration.told,
                incoming=True,
            )
            try:
                await restore(emulator, template, migration)
                await emulator.ping(_RESTORED)
            except BaseException:
                await emulator.kill()
                raise
        except (MachineError, OSError) as error:
            reason = error.message if isinstance(error, MachineError) else error.strerror
            log.warning("a template could not be restored, it is made anew: %s", reason)
            shutil.rmtree(template.folder, ignore_errors=True)
            return None
        return QemuMachine(emulator, accelerator, limits)

    async def _make_alone(
        self, template: Template, limits: MachineLimits, accelerator: Accelerator
    ) -> None:
        """Make it, unless another process has while this one waited for its turn."""
        turn = locked(template.folder.parent)
        await asyncio.to_thread(turn.__enter__)
        try:
            if not template.exists:
                await self._make(template, limits, accelerator)
        finally:
            turn.__exit__(None, None, None)

    async def _make(
        self, template: Template, limits: MachineLimits, accelerator: Accelerator
    ) -> None:
        making = Path(tempfile.mkdtemp(prefix=MAKING, dir=template.folder.parent))
        migration = Migration()
        try:
            scratch = os.open(making / "scratch", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            os.truncate(scratch, disk.size_for(limits.disk))
            memory = Memory(limits.memory, making / "memory", shared=True)
            emulator = await self._emulator(
                limits,
                accelerator,
                lambda _: None,
                memory=memory,
                scratch=scratch,
                told=migration.told,
            )
            try:
                await emulator.ping(_BOOT)
                await ask(emulator.connection, "warm", b"")
                await keep(emulator, making, migration)
            finally:
                await emulator.kill()
            making.rename(template.folder)
        finally:
            shutil.rmtree(making, ignore_errors=True)

    async def _booted(
        self, accept: Accept, limits: MachineLimits, accelerator: Accelerator
    ) -> QemuMachine:
        emulator = await self._emulator(limits, accelerator, accept)
        try:
            await emulator.ping(_BOOT)
        except BaseException:
            await emulator.kill()
            raise
        return QemuMachine(emulator, accelerator, limits)

    async def _emulator(
        self,
        limits: MachineLimits,
        accelerator: Accelerator,
        accept: Accept,
        *,
        memory: Memory | None = None,
        scratch: int | None = None,
        told: Told = _unheard,
        incoming: bool = False,
    ) -> Emulator:
        return await Emulator.start(
            self._image,
            limits,
            accelerator=accelerator,
            memory=memory or Memory(limits.memory),
            scratch=new_scratch(self._scratch, limits) if scratch is None else scratch,
            accept=accept,
            told=told,
            group=self._group,
            incoming=incoming,
        )

    def _warn(self, accelerator: Accelerator) -> None:
        if self._warned:
            return
        self._warned = True
        if accelerator is Accelerator.EMULATION:
            log.warning("machines are emulated: for development, not a security boundary")
        if self._group is None:
            log.warning(
                "no control group is delegated to this process: machines are bounded by "
                "resource limits only"
            )
        if os.geteuid() == 0:
            log.warning("machines run as root; run bailee as an ordinary user")


def see_that_it_can_be(limits: MachineLimits) -> None:
    """See that machines with these limits can be started here at all.

    Raises:
        MachineError: code `no_machine`, with what is missing.
    """
    if not sys.platform.startswith("linux"):
        raise MachineError(
            f"machines run on Linux; this is {sys.platform}.",
            code="no_machine",
            hint="run the cloud sessions' runner on a Linux machine",
        )
    if shutil.which(PROGRAM) is None:
        raise MachineError(
            "QEMU is not on this machine.",
            code="no_machine",
            hint="install qemu-system-x86 (Debian, Ubuntu) or qemu-system-x86-core (Fedora)",
        )
    if limits.memory < _LEAST_MEMORY:
        raise MachineError(
            f"a machine with {limits.memory >> 20} MiB does not start.",
            code="no_machine",
            hint=f"give it {_LEAST_MEMORY >> 20} MiB or more",
        )
    if _available_memory() < limits.memory // 4:
        raise MachineError(
            "this machine's memory is used up.", code="no_machine", hint="end a session, or wait"
        )


def _available_memory() -> int:
    """What programs could have of this machine's memory now, as the kernel estimates it."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) << 10
    return sys.maxsize
