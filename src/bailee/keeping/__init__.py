"""One life for all that is kept under terms: it follows a choice, may be held, is exported, erased
or swept, and leaves a receipt.

A store that takes part is a `Keeper`. Sweeping, erasing, following and holding go over keepers, and
name no store; a new data class is one more of them.

Rows: R5, R6.
"""
