"""The self-hostable data plane for coding agents: sessions held under one data policy."""

__version__ = "0.1.0"
