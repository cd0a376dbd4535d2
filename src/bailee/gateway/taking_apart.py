"""`python -m bailee.gateway.taking_apart`: a workbench for what the gateway recorded.

Started by the vault of `bailee up`; see `vault.workbench_process`.
"""

from __future__ import annotations

import sys
from typing import Final

from bailee.apis.reading import interpret
from bailee.vault.workbench_process import serve

COMMAND: Final = (sys.executable, "-P", "-m", "bailee.gateway.taking_apart")

if __name__ == "__main__":
    serve(interpret)
