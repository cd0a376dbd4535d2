"""Public fakes and fixtures, for our tests and for anyone who builds on bailee."""

from bailee.testing.clock import FakeClock, FakeTicks
from bailee.testing.store import Fault, FaultyStore

__all__ = ["FakeClock", "FakeTicks", "Fault", "FaultyStore"]
