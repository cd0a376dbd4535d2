"""The declared fields of metrics and error events, shared by the side that sends and the side that
receives. `registry.toml` declares, `declared` reads it and guards. Imports nothing that acts.
"""

from bailee.registry.declared import ErrorEvent, Metric, Registry, read, shipped

__all__ = ["ErrorEvent", "Metric", "Registry", "read", "shipped"]
