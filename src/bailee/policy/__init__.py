"""The policy: one document that every decision comes from, checked, explained, compared, rendered.

`load()` gives a `Policy`; `policy.decide(action, facts)` a `Decision`. Pure but for `loading`,
which reads the document's file. Imports nothing but the standard library,
`tomli` (the same as `tomllib`, compiled) and `bailee.errors`.
What is named here is imported when it is first asked for: most processes need the facts alone.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bailee.policy.document import Document, Plan
    from bailee.policy.loading import load
    from bailee.policy.policy import Decision, Explanation, Policy
    from bailee.policy.reading import DocumentProblem, Unsound
else:
    _PLACES = {
        "document": ("Document", "Plan"),
        "loading": ("load",),
        "policy": ("Decision", "Explanation", "Policy"),
        "reading": ("DocumentProblem", "Unsound"),
    }

    def __getattr__(name: str) -> object:
        for module, names in _PLACES.items():
            if name in names:
                return getattr(import_module(f"bailee.policy.{module}"), name)
        raise AttributeError(name)


__all__ = [
    "Decision",
    "Document",
    "DocumentProblem",
    "Explanation",
    "Plan",
    "Policy",
    "Unsound",
    "load",
]
