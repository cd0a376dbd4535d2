"""What heads and bodies are both made of. Pure."""

from __future__ import annotations

import re
from typing import Final

TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
# A field line: its name, and its value with the blanks around it.
FIELD: Final = re.compile(rb"(" + TOKEN + rb"++):([\t\x20-\x7e\x80-\xff]*+)\r\n")


class Malformed(Exception):
    """The bytes are not HTTP that everyone would read the same way. Holds no content."""
