"""Machines: QEMU microVMs without a network card, and nothing of them left when they end."""

from bailee.cloud.machine.machines import QemuMachines

__all__ = ["QemuMachines"]
