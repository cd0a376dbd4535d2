"""Public fakes and fixtures, for our tests and for anyone who builds on bailee."""

from bailee.testing.clock import FakeClock, FakeMachine, FakeTicks
from bailee.testing.store import Fault, FaultyStore

__all__ = ["FakeClock", "FakeMachine", "FakeTicks", "Fault", "FaultyStore"]
