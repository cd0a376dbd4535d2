"""Names of people and places, found by Presidio with a spaCy model of the operator's own.

Opt-in: it takes ten times as long as everything else, and of code it takes much for names that is
none. Only persons, places and groups are asked for; what has a form, `personal` knows.

Rules kept here:

* Nothing is fetched. Presidio finds e-mail and web addresses with tldextract, which asks public
  hosts for a list of domains at the first: these recognisers are not loaded. The model is a folder
  that is there, never a name that could be downloaded.
* A long text is taken in pieces, each of bounded size.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol

from bailee.errors import InputError
from bailee.training.finding import Names
from bailee.training.personal import PersonalValue

_KINDS: Final = {"PERSON": "PERSON", "LOCATION": "PLACE", "NRP": "GROUP"}
_PIECE: Final = 50_000
_SURE: Final = 0.5
_SHORTEST: Final = 3


class _Result(Protocol):
    entity_type: str
    start: int
    end: int


def by_model(folder: Path, language: str = "en") -> Names:
    """What finds names, with the spaCy model in a folder.

    Raises:
        InputError: there is no model, or the extra `presidio` is not installed.
    """
    if not (folder / "config.cfg").is_file():
        raise InputError(
            f"there is no spaCy model at {folder}.",
            hint="name the folder of a model that has its config.cfg; nothing is downloaded",
        )
    try:
        from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
        from presidio_analyzer.nlp_engine import NlpEngineProvider
        from presidio_analyzer.predefined_recognizers import SpacyRecognizer
    except ModuleNotFoundError as error:
        raise InputError(
            f"names can't be found without {error.name}, which is not installed.",
            hint='install the presidio part: pip install "bailee[presidio]"',
        ) from error
    models = [{"lang_code": language, "model_name": str(folder)}]
    configuration = {"nlp_engine_name": "spacy", "models": models}
    registry = RecognizerRegistry(recognizers=[], supported_languages=[language])
    registry.add_recognizer(SpacyRecognizer(supported_language=language))
    engine = AnalyzerEngine(
        registry=registry,
        nlp_engine=NlpEngineProvider(nlp_configuration=configuration).create_engine(),
        supported_languages=[language],
    )

    def names(text: str) -> Iterator[PersonalValue]:
        for start in range(0, len(text), _PIECE):
            piece = text[start : start + _PIECE]
            results: list[_Result] = engine.analyze(
                piece, language, entities=sorted(_KINDS), score_threshold=_SURE
            )
            for one in results:
                value = piece[one.start : one.end].strip()
                if len(value) >= _SHORTEST and "\n" not in value:
                    yield PersonalValue(_KINDS[one.entity_type], value)

    return names
