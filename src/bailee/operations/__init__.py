"""What a person can ask of a home, and who may: the same for the command line, pages and HTTP."""

from bailee.operations.arguments import at_terminal
from bailee.operations.operations import perform

__all__ = ["at_terminal", "perform"]
