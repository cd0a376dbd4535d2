"""The self-hostable data plane for coding agents: sessions held under one data policy."""

import os

__version__ = "0.1.0"

if os.environ.get("BAILEE_COMPILED") == "off":
    from bailee.compiled import leave_aside

    leave_aside()
