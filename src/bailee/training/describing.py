"""What a dataset says of itself: `croissant.json`, `DATASHEET.md`, `README.md`. Pure.

Standards: MLCommons Croissant 1.0; Gebru et al., "Datasheets for Datasets" (2021), its questions;
Hugging Face's dataset cards (YAML front matter that `load_dataset` reads).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from bailee.json_values import Json, JsonObject
from bailee.training.counting import Counts
from bailee.training.plots import bars

PLOTS: Final = ("languages", "models", "tools", "masked")
"""Counts that are drawn: `plots/NAME.svg`."""

_CONTEXT: Final[JsonObject] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
_COLUMNS: Final = {
    "id": "The row's id: the session's commitment and a number",
    "session": "The session's commitment",
    "parent": "Of a subagent's row, the row that it belongs to",
    "day": "The day on which the conversation began (UTC)",
    "plan": "The plan that the session was used with",
    "channel": "The channel that it came by",
    "model": "The model that answered",
    "language": "ISO 639-1 of what the person wrote, or und",
    "clause": "The clause of the policy that allows training",
    "document": "The hash of the policy",
    "consent": "The commitment to the record of the choice that allows it",
    "tools": "The declared tools, as JSON text",
    "blocks": "The conversation as blocks of the Messages API, as JSON text",
    "near_duplicate_of": "The first row that is nearly the same",
}
_ENCODINGS: Final = {"parquet": "application/x-parquet", "jsonl": "application/jsonlines"}


@dataclass(frozen=True, slots=True)
class DatasetFile:
    """A file of rows: its path within the dataset, SHA-256 in hexadecimal, bytes, rows."""

    path: str
    sha256: str
    bytes: int
    rows: int


@dataclass(frozen=True, slots=True)
class DatasetSummary:
    """What is said of a dataset. `published`: the day, ISO 8601; `form`: parquet or jsonl;
    `document`: the hash of the policy; `entry`: the number of the entry of the publisher's audit
    record that says by whom and for what it was made; `sessions`: how many;
    `near_duplicates`: rows that are nearly the same as another; `names_model`: the digest of the
    model that found names, None: they were not looked for.
    """

    name: str
    version: str
    published: str
    publisher: str
    entry: int
    document: str
    form: str
    files: tuple[DatasetFile, ...]
    sessions: int
    counts: Counts
    near_duplicates: int = 0
    names_model: str | None = None
    license: str = "not to be published: held under the consent that each row names"


def croissant(dataset: DatasetSummary) -> str:
    """`croissant.json`."""
    described: JsonObject = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "name": dataset.name,
        "description": "Conversations with coding agents that may be trained on.",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "citeAs": f"@misc{{{dataset.name}, title={{{dataset.name}}}}}, {dataset.published}",
        "license": dataset.license,
        "version": dataset.version,
        "datePublished": dataset.published,
        "creator": {"@type": "Organization", "name": dataset.publisher},
        "url": f"urn:bailee:{dataset.name}",
        "distribution": [_file(dataset, one) for one in dataset.files],
        "recordSet": [_record_set(one) for one in dataset.files],
    }
    return json.dumps(described, indent=1, ensure_ascii=False) + "\n"


def _file(dataset: DatasetSummary, file: DatasetFile) -> Json:
    return {
        "@type": "cr:FileObject",
        "@id": file.path,
        "name": file.path.rpartition("/")[2],
        "contentUrl": file.path,
        "contentSize": f"{file.bytes} B",
        "encodingFormat": _ENCODINGS[dataset.form],
        "sha256": file.sha256,
    }


def _record_set(file: DatasetFile) -> Json:
    """The columns of one file: a set of files can be described only inside an archive."""
    name = file.path.rpartition("/")[2].partition(".")[0]
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": f"One conversation a record; {file.rows} records.",
        "field": [_field(file, name, *column) for column in _COLUMNS.items()],
    }


def _field(file: DatasetFile, record_set: str, column: str, description: str) -> Json:
    return {
        "@type": "cr:Field",
        "@id": f"{record_set}/{column}",
        "name": column,
        "description": description,
        "dataType": "sc:Text",
        "source": {"fileObject": {"@id": file.path}, "extract": {"column": column}},
    }


def readme(dataset: DatasetSummary) -> str:
    """`README.md`: with it, `datasets.load_dataset(DIR)` finds both configurations."""
    at = f"data/*.{dataset.form}"
    columns = ", ".join(["id", "session", "model", "language", "blocks"])
    # Columns are chosen by the reader of Parquet; that of JSON has no such setting.
    chosen = f"    columns: [{columns}]\n" if dataset.form == "parquet" else ""
    return f"""---
pretty_name: {json.dumps(dataset.name)}
language: [{", ".join(sorted({one for one in dataset.counts.languages if one != "und"}))}]
tags: [conversational, tool-use]
configs:
  - config_name: messages
    default: true
    data_files: [{{split: train, path: "{at}"}}]
  - config_name: blocks
    data_files: [{{split: train, path: "{at}"}}]
{chosen}---

# {dataset.name}

{dataset.counts.rows} conversations of {dataset.sessions} sessions, version {dataset.version}.

    from datasets import load_dataset
    rows = load_dataset("THIS FOLDER", split="train")             # `messages` and `tools`
    blocks = load_dataset("THIS FOLDER", "blocks", split="train") # the Messages API's own blocks

`tools`, the arguments of calls and `blocks` are JSON text. What is in here, on what grounds and
what was masked: [DATASHEET.md](DATASHEET.md). Before each use, leave out what was withdrawn since:
`bailee training withdrawals`.
"""


def datasheet(dataset: DatasetSummary) -> str:
    """`DATASHEET.md`."""
    return "\n".join(_datasheet(dataset)) + "\n"


def _datasheet(dataset: DatasetSummary) -> Iterator[str]:
    counts = dataset.counts
    yield f"# Datasheet: {dataset.name}\n"
    yield f"Version {dataset.version}, made {dataset.published} by {dataset.publisher}.\n"
    yield "## Why it was made\n"
    yield (
        f"For the reason that is on record at the publisher, in entry {dataset.entry} of its audit "
        "record. The people whose sessions are in it read it on their privacy page.\n"
    )
    yield "## What is in it\n"
    yield (
        f"{counts.rows} conversations of {dataset.sessions} sessions with coding agents, "
        f"{counts.subagents} of them of subagents; {counts.messages} messages, "
        f"{counts.characters} characters. {dataset.near_duplicates} rows are nearly the same as "
        "one before them, and name it; they are not left out.\n"
    )
    yield (
        "Of images and documents there is their kind and size. Small calls on the side are not in "
        "it.\n"
    )
    yield "## On what grounds\n"
    yield (
        f"Policy `{dataset.document}`. For each session it was decided when its rows were written. "
        "Each row names the clause and, as a commitment that its publisher alone can open, the "
        "record of the choice. No column says which sessions are of one person.\n"
    )
    tables: Sequence[tuple[str, Counter[str]]] = (
        ("Clause", counts.clauses),
        ("Plan", counts.plans),
        ("Channel", counts.channels),
        ("Language", counts.languages),
        ("Model", counts.models),
        ("Tool, calls", counts.tools),
    )
    for title, counter in tables:
        yield _table(title, counter)
    yield "## What was masked\n"
    yield (
        "Secrets by patterns and by betterleaks, personal data by its form, also where it is "
        "encoded. The same value has the same mask within a row. No detector finds all: a secret "
        "without a known form is not found.\n"
    )
    yield _names(dataset.names_model)
    yield _table("Rule, places", counts.masked)
    yield "## Plots\n"
    for name in PLOTS:
        yield f"![{name}](plots/{name}.svg)\n"
    yield "## Who may use it, and until when\n"
    yield (
        "For what it was exported for. A person may withdraw at any time: what holds their data "
        "then is listed by `bailee training withdrawals`, and is to be left out.\n"
    )


def _names(model: str | None) -> str:
    if model is None:
        return "Names of people, places and groups were not looked for.\n"
    return (
        "Names of people, places and groups by Presidio, with a spaCy model of the publisher's "
        f"whose files have the digest `{model}`. It misses some, and takes other words for names.\n"
    )


def _table(title: str, counter: Counter[str]) -> str:
    if not counter:
        return f"{title}: none.\n"
    rows = [
        f"| {name.replace('|', ' ') or '–'} | {count} |"
        for name, count in sorted(counter.items(), key=lambda one: (-one[1], one[0]))
    ]
    return "\n".join([f"| {title} | |", "|---|--:|", *rows, ""])


def drawn(dataset: DatasetSummary) -> dict[str, str]:
    """The plots by their path within the dataset, as SVG."""
    held = {
        "languages": dataset.counts.languages,
        "models": dataset.counts.models,
        "tools": dataset.counts.tools,
        "masked": dataset.counts.masked,
    }
    return {f"plots/{name}.svg": bars(name, held[name]) for name in PLOTS}
