"""People's requests about their own data: what was asked, until when it is due, how it ended.

A request is a *case*: `steps` says what may follow what, `store` keeps the cases, `letter` writes
the answer. Rows: R6.
"""

from bailee.cases.case import Case, CaseParticulars
from bailee.cases.steps import CaseKind, CaseState, Deadlines
from bailee.cases.store import Cases

__all__ = ["Case", "CaseKind", "CaseParticulars", "CaseState", "Cases", "Deadlines"]
