"""How Chinese is set: with its own stops, and a blank beside Latin letters alone."""

from __future__ import annotations

import re
from typing import Final

STRAY: Final = re.compile(
    r"[\u4e00-\u9fff][,:;?!()]|[,:;?!()][\u4e00-\u9fff]|[。，；：？！、）] +[\u4e00-\u9fff（(]"
)
"""Half-width stops and brackets beside a Chinese character, of whatever file; and a blank after a
stop that is wide enough."""
TIGHT: Final = re.compile(r"[\u4e00-\u9fff][A-Za-z0-9]|[A-Za-z0-9][\u4e00-\u9fff]")
"""A Chinese character beside a letter or a digit, with no blank between."""
