"""Names of people and places, found by Presidio with a spaCy model of the operator's own.

Opt-in: it takes a hundred times as long as everything else, and of code it takes much for names
that is none. Only persons, places and groups are asked for; what has a form, `personal` knows.

Rules kept here:

* Nothing is fetched. Presidio finds e-mail and web addresses with tldextract, which asks public
  hosts for a list of domains at the first: these recognisers are not loaded. The model is a folder
  that is there, never a name that could be downloaded.
* All workers of an export use the same model: a task says its digest, and another is refused.
* A long text is taken in pieces, each of bounded size.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Protocol

import orjson

from bailee.errors import InputError
from bailee.json_values import members, text
from bailee.training.files import digest_of
from bailee.training.finding import Names
from bailee.training.personal import PersonalValue

_KINDS: Final = {"PERSON": "PERSON", "LOCATION": "PLACE", "NRP": "GROUP"}
_PIECE: Final = 50_000
_SURE: Final = 0.5
_SHORTEST: Final = 3
_MOST_FILES: Final = 1_000
_EXTRA: Final = ("presidio_analyzer", "spacy")


class _Result(Protocol):
    entity_type: str
    start: int
    end: int


def digest_of_model(folder: Path) -> str:
    """What a model is: SHA-256, in hexadecimal, over its files' names and their SHA-256.

    Raises:
        InputError: there is no model, or it can't be read, or has more files than a model.
    """
    _check(folder)
    made = hashlib.sha256()
    try:
        found = sorted(one for one in folder.rglob("*") if one.is_file())[: _MOST_FILES + 1]
        for path in found:
            made.update(f"{digest_of(path)}  {path.relative_to(folder).as_posix()}\n".encode())
    except OSError as error:
        raise InputError(
            f"the model for names can't be read ({error.strerror}).",
            hint="check the folder's permissions; nothing was exported",
        ) from error
    if len(found) > _MOST_FILES:
        raise InputError(f"{folder} has more files than a model; nothing was exported.")
    return made.hexdigest()


def check_installed() -> None:
    """Raises: InputError, code `configuration`, the extra `presidio` is not installed."""
    missing = [one for one in _EXTRA if importlib.util.find_spec(one) is None]
    if missing:
        raise InputError(
            f"names can't be found without what is not installed: {', '.join(missing)}.",
            code="configuration",
            hint='install the presidio part: pip install "bailee[presidio]". Nothing was exported',
        )


def by_model(folder: Path, *, digest: str | None = None) -> Names:
    """What finds names, with the spaCy model in a folder. `digest`: what it must be.

    Raises:
        InputError: there is no model, or another, or the extra `presidio` is not installed.
    """
    _check(folder)
    check_installed()
    if digest is not None and digest_of_model(folder) != digest:
        raise InputError("the model for names is another than the export was begun with.")
    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
    from presidio_analyzer.nlp_engine import NlpEngineProvider
    from presidio_analyzer.predefined_recognizers import SpacyRecognizer

    language = _language(folder)
    models = [{"lang_code": language, "model_name": str(folder)}]
    configuration = {"nlp_engine_name": "spacy", "models": models}
    registry = RecognizerRegistry(recognizers=[], supported_languages=[language])
    registry.add_recognizer(SpacyRecognizer(supported_language=language))
    engine = AnalyzerEngine(
        registry=registry,
        nlp_engine=NlpEngineProvider(nlp_configuration=configuration).create_engine(),
        supported_languages=[language],
    )

    def names(said: str) -> Iterator[PersonalValue]:
        for start in range(0, len(said), _PIECE):
            piece = said[start : start + _PIECE]
            results: Sequence[_Result] = engine.analyze(
                piece, language, entities=sorted(_KINDS), score_threshold=_SURE
            )
            for one in results:
                value = piece[one.start : one.end].strip()
                if len(value) >= _SHORTEST and "\n" not in value:
                    yield PersonalValue(_KINDS[one.entity_type], value)

    return names


def _check(folder: Path) -> None:
    if not (folder / "config.cfg").is_file():
        raise InputError(
            f"there is no spaCy model at {folder}.",
            hint="name the folder of a model that has its config.cfg; nothing is downloaded",
        )


def _language(folder: Path) -> str:
    """The language that a model is of, as its `meta.json` says."""
    try:
        said = members(orjson.loads((folder / "meta.json").read_bytes()))
    except (OSError, ValueError):
        said = {}
    return text(said.get("lang")) or "en"
