"""Public fakes and fixtures, for our tests and for anyone who builds on bailee."""

from bailee.testing.clock import FakeClock

__all__ = ["FakeClock"]
