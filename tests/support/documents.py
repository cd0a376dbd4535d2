"""The policy document that holds where no other is named, with changes."""

from __future__ import annotations

from bailee.policy.loading import content

HELD = content().decode()
LONGER = (
    ('for = "P30D"\nen = "Commercial', 'for = "P90D"\nen = "Commercial'),
    ('at_most = "P30D"', 'at_most = "P90D"'),
    ('exactly = "P30D"\nen = "All other', 'at_most = "P90D"\nen = "All other'),
)
"""Commercial data is kept longer."""


def edited(*changes: tuple[str, str]) -> str:
    """The document, with changes."""
    text = HELD
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    return text
