"""The policy: one document that every decision comes from, checked, explained, compared, rendered.

`load()` gives a `Policy`; `policy.decide(action, facts)` a `Decision`. Pure but for `loading`,
which reads the document's file. Imports nothing but the standard library and `bailee.errors`.
"""

from bailee.policy.document import Document, Plan
from bailee.policy.loading import load
from bailee.policy.policy import Decision, Explanation, Policy
from bailee.policy.reading import DocumentProblem, Unsound

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
