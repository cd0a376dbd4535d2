"""A runner whose machines isolate nothing (`bailee.testing.machines`), as a process for tests.

python host_runner.py HOME SLOTS
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from bailee.cloud.runners.runner import run
from bailee.home import Home
from bailee.testing.machines import HostMachines

if __name__ == "__main__":
    asyncio.run(run(Home(Path(sys.argv[1])).runner_socket, HostMachines(), int(sys.argv[2])))
