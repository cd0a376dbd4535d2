"""A dataset as a trainer meets it: loaded by `datasets`, described by Croissant, offline."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from bailee.training import describing, files
from bailee.training.counting import Counts, from_json
from bailee.training.dataset import Row
from bailee.training.describing import DatasetFile, DatasetSummary
from bailee.training.duplicates import NearDuplicates, signature
from bailee.training.files import Format
from bailee.training.rows import conversation
from bailee.training.scrubbing import masked
from bailee.vault.packing import JSON
from support.homes.conversations import Asked, answered, exported, text, user

FIELDS: dict[str, JSON] = {"tools": [{"name": "Bash", "input_schema": {"type": "object"}}]}
LOAD = """
import datasets, json, sys

def loaded(folder):
    rows = datasets.load_dataset(folder, split="train")
    blocks = datasets.load_dataset(folder, "blocks", split="train")
    stream = datasets.load_dataset(folder, split="train", streaming=True)
    return {"rows": list(rows), "blocks": list(blocks), "streamed": len(list(stream))}

print(json.dumps([loaded(one) for one in sys.argv[1:]], default=str))
"""
CROISSANT = """
import json, sys, warnings
warnings.simplefilter("error", UserWarning)
import mlcroissant

def described(folder):
    dataset = mlcroissant.Dataset(jsonld=folder + "/croissant.json")
    issues = dataset.metadata.ctx.issues
    return {
        "errors": list(issues.errors), "warnings": list(issues.warnings),
        "records": [
            {name.rpartition("/")[2]: value.decode() if isinstance(value, bytes) else str(value)
             for name, value in one.items()}
            for name in ("train-00000-of-00002", "train-00001-of-00002")
            for one in dataset.records(name)
        ],
    }

print(json.dumps([described(one) for one in sys.argv[1:]]))
"""

Read = dict[str, list[dict[str, JSON]]]


def a_row(number: int) -> Row:
    """A masked row with a call and an address in it."""
    call: JSON = {
        "type": "tool_use",
        "id": "t1",
        "name": "Bash",
        "input": {"command": f"ls {number}"},
    }
    first = [user(f"Please look at what is in the folder number {number}, for ada@lovelace.org.")]
    then: list[JSON] = [
        *first,
        {"role": "assistant", "content": [call]},
        user([{"type": "tool_result", "tool_use_id": "t1", "content": "a.py"}]),
    ]
    made = exported(Asked(then, answered(text("One.")), FIELDS), commitment=f"{number:064x}")
    return masked(conversation(made)[0])[0]


def dataset(folder: Path, form: Format) -> DatasetSummary:
    """Two files of rows with all that describes them."""
    (folder / "data").mkdir()
    (folder / "plots").mkdir()
    parts = []
    counts = Counts()
    for number in range(2):
        made = [a_row(10 * number + one) for one in range(3)]
        path = folder / "data" / files.name(number, 2, form)
        written = files.write(path, made, form)
        at = str(path.relative_to(folder))
        parts.append(DatasetFile(at, written.sha256, written.bytes, written.rows))
        counted = Counts()
        for row in made:
            counted.add(row)
        counts.include(from_json(json.loads(json.dumps(counted.as_json()))))
    summary = DatasetSummary(
        *("town", "1.0.0", "2026-11-29", "The Town", 7, "sha256:d", form.value),
        *(tuple(parts), 6, counts, 5),
    )
    (folder / "README.md").write_text(describing.readme(summary))
    (folder / "DATASHEET.md").write_text(describing.datasheet(summary))
    (folder / "croissant.json").write_text(describing.croissant(summary))
    for name, drawn in describing.drawn(summary).items():
        (folder / name).write_text(drawn)
    return summary


def alone(program: str, folders: Sequence[Path], home: Path) -> list[Read]:
    """What a trainer's program says of each folder, run without network where that can be had."""
    cut = ["unshare", "--net"] if os.geteuid() == 0 else []
    done = subprocess.run(
        [*cut, sys.executable, "-c", program, *map(str, folders)],
        env={"PATH": os.environ["PATH"], "HOME": str(home), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert 0 == done.returncode, done.stderr[-2000:]
    read: list[Read] = json.loads(done.stdout.splitlines()[-1])
    assert len(folders) == len(read)
    return read


@dataclass(frozen=True)
class Told:
    """A dataset's folder, what it was made of, and what a trainer's programs say of it."""

    folder: Path
    summary: DatasetSummary
    loaded: Read
    described: Read


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[Format, Told]:
    """Each format. Either program is started once: its libraries take seconds to import."""
    at = tmp_path_factory.mktemp("datasets")
    home = at / "home"
    home.mkdir()
    folders = {form: at / form.value / "town" for form in Format}
    summaries = {}
    for form, folder in folders.items():
        folder.mkdir(parents=True)
        summaries[form] = dataset(folder, form)
    loaded = alone(LOAD, [*folders.values()], home)
    described = alone(CROISSANT, [*folders.values()], home)
    return {
        form: Told(folder, summaries[form], *said)
        for (form, folder), *said in zip(folders.items(), loaded, described, strict=True)
    }


@pytest.mark.row("T7")
@pytest.mark.parametrize("form", Format)
def test_a_dataset_loads_and_describes_itself(told: dict[Format, Told], form: Format) -> None:
    """Both configurations, streamed too; the description is valid and gives back every record."""
    folder, summary = told[form].folder, told[form].summary
    loaded, described = told[form].loaded, told[form].described

    assert 6 == len(loaded["rows"]) == len(loaded["blocks"]) == loaded["streamed"]
    row = loaded["rows"][0]
    said = row["messages"]
    assert isinstance(said, list)
    assert ["user", "assistant", "tool", "assistant"] == [one["role"] for one in said]  # type: ignore[call-overload,index]
    assert "[EMAIL_1]" in str(said[0])
    assert isinstance(json.loads(str(row["tools"])), list)
    assert "messages" in json.loads(str(loaded["blocks"][0]["blocks"]))
    assert [] == described["errors"] == described["warnings"]
    assert [one["id"] for one in loaded["rows"]] == [one["id"] for one in described["records"]]
    sheet = (folder / "DATASHEET.md").read_text()
    assert "| en | 6 |" in sheet
    assert "| Bash | 6 |" in sheet
    assert "| email | 6 |" in sheet
    for drawn in describing.drawn(summary).values():
        assert "<svg" in drawn
        assert "<script" not in drawn
        assert "href=" not in drawn


@pytest.mark.row("T7")
def test_near_duplicates_name_the_first(tmp_path: Path) -> None:
    """A conversation with a word changed is one; another with the same tools is not."""
    long = " ".join(f"word{one}" for one in range(300))

    def row(number: int, said: str) -> Row:
        made = exported(
            Asked([user(said)], answered(text("Good.")), FIELDS), commitment=f"c{number}"
        )
        return conversation(made)[0]

    rows = [
        row(1, long),
        row(2, "Something else entirely, about the weather of tomorrow and the day after it."),
        row(3, long.replace("word150", "changed")),
        row(4, long + " and more"),
        row(5, " ".join(f"other{one}" for one in range(300))),
    ]
    with closing(NearDuplicates(tmp_path)) as alike:
        said = [alike.add(one // 3, row.id, signature(row)) for one, row in enumerate(rows)]
        found = [alike.of(shard) for shard in range(3)]

    assert [False, False, True, True, False] == said
    assert [{"c3-1": "c1-1"}, {"c4-1": "c1-1"}, {}] == found
    assert [] == [*tmp_path.iterdir()]
    assert signature(rows[0]) == signature(rows[0])
