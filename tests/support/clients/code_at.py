"""`bailee code` as `python code_at.py FILE`: its clock shows the moment in FILE, which a test may
change while it runs, and the draw that decides whether the survey may ask is sure.
"""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path

from bailee.agent.session import Options
from bailee.agent.terminal import app
from bailee.client.machine import ClientMachine

CODE_AT = Path(__file__)


def show(file: Path, moment: datetime) -> None:
    """Sets the clock. Whole or not at all: it may be read at any time."""
    new = file.with_suffix(".new")
    new.write_text(moment.isoformat())
    new.replace(file)


def main() -> int:
    """Runs it in this terminal and this folder; the exit status."""
    moment = Path(sys.argv[1])

    def clock() -> datetime:
        return datetime.fromisoformat(moment.read_text())

    machine = ClientMachine.open(Path.cwd(), clock=clock)
    return app.run(Options(Path.cwd()), machine, choose=False, first=None, chance=0.0)


if __name__ == "__main__":
    sys.exit(main())
