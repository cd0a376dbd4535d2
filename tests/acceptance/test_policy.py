"""`bailee policy` as a person types it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bailee.policy.loading import content
from support.clients import processes
from support.clients.programs import clean_environment

SHIPPED = content().decode()
BAILEE = [sys.executable, "-c", "from bailee.cli import main; main()", "policy"]
RETAIN = {
    "action": "retain",
    "data_class": "transcript",
    "plan": "pro",
    "channel": "api",
    "training_choice": "allowed",
    "zero_retention": False,
    "partner_programme": False,
}
SEND = {"action": "send", "flow": "metrics", "provider": "api", "env": {}}


def bailee(
    *arguments: str, given: str = "", status: int = 0, cwd: Path | None = None
) -> tuple[str, str]:
    """Run the command; its output and its errors, after the exit status is as it should be."""
    env = clean_environment(Path("/nonexistent"))
    done = processes.run("policy", *arguments, env=env, folder=cwd, given=given)
    assert status == done.returncode, done.stderr
    return done.stdout, done.stderr


def answers(given: str, *arguments: str, status: int = 0) -> list[dict[str, Any]]:
    """The answers of a batch."""
    out, _ = bailee("decide", "--batch", *arguments, given=given, status=status)
    return [json.loads(line) for line in out.splitlines()]


def lines(*questions: object) -> str:
    """Questions as JSON lines."""
    return "".join(json.dumps(one) + "\n" for one in questions)


@pytest.fixture
def edited(tmp_path: Path) -> Path:
    """A document in which commercial transcripts are kept 90 days, its invariants with it."""
    text = SHIPPED
    for old, new in (
        ('for = "P30D"\nen = "Commercial', 'for = "P90D"\nen = "Commercial'),
        ('at_most = "P30D"', 'at_most = "P90D"'),
        ('exactly = "P30D"\nen = "All other', 'at_most = "P90D"\nen = "All other'),
    ):
        assert old in text
        text = text.replace(old, new)
    path = tmp_path / "edited.toml"
    path.write_text(text)
    return path


@pytest.mark.row("P2")
def test_check_tries_every_combination_and_says_so() -> None:
    """The shipped document is sound; the output names the count and each invariant."""
    out, errors = bailee("check")
    assert "634,824 combinations, each decided by exactly one clause" in out
    assert "commercial-needs-opt-in" in out
    assert "" == errors
    found = json.loads(bailee("check", "--json")[0])
    assert (True, 634824) == (found["sound"], found["combinations"])
    assert 634824 == sum(sum(counts.values()) for counts in found["decided"].values())


@pytest.mark.row("P2")
def test_check_refuses_a_broken_document_with_its_place(tmp_path: Path) -> None:
    """Exit status 1; file, line, reason and the first combination on standard error."""
    path = tmp_path / "broken.toml"
    old = 'when = { segment = "commercial" }\nthen = "deny"'
    assert old in SHIPPED
    path.write_text(SHIPPED.replace(old, old.replace("deny", "allow")))
    line = SHIPPED[: SHIPPED.index('[[train]]\nid = "train.commercial"')].count("\n") + 1
    out, errors = bailee("check", str(path), status=1)
    assert "" == out
    assert errors.startswith(
        f"error: {path}:{line}: train.commercial breaks the invariant commercial-needs-opt-in"
    )
    assert "data_class=transcript, plan=team, channel=api" in errors.splitlines()[0]
    assert "\nhint: " in errors
    told = json.loads(bailee("check", str(path), "--json", status=1)[0])
    assert (False, line) == (told["sound"], told["problems"][0]["line"])


def test_a_broken_document_is_refused_by_every_command(tmp_path: Path) -> None:
    """Nothing is decided, explained or published from a document that is not sound."""
    path = tmp_path / "broken.toml"
    path.write_text(SHIPPED.replace("[[retain]]", "[[retian]]", 1))
    for command in (
        ("decide", "--batch"),
        ("decide", json.dumps(RETAIN)),
        ("explain", json.dumps(RETAIN)),
        ("show",),
        ("page", "--lang", "en"),
    ):
        out, errors = bailee(*command, "--document", str(path), given=lines(RETAIN), status=1)
        assert "" == out
        assert "'retian' is not a key that belongs here" in errors
    bailee("diff", "shipped", str(path), status=1)


def test_a_document_that_is_not_there_is_said_plainly() -> None:
    """A wrong path is an error with a hint, not a traceback."""
    _, errors = bailee("check", "/nowhere/policy.toml", status=2)
    assert errors.startswith("error: The policy document /nowhere/policy.toml can't be read")
    assert "hint: " in errors


@pytest.mark.row("P1", "R1", "R2", "S1")
def test_a_batch_is_answered_line_by_line() -> None:
    """One decision per line, in order, with the clause and the document's hash."""
    found = answers(
        lines(
            RETAIN,
            {**RETAIN, "zero_retention": True},
            {**RETAIN, "action": "train", "active_since_choice": True},
            {**SEND, "env": {"DISABLE_TELEMETRY": "0"}},
            {**SEND, "env": {"DISABLE_TELEMETRY": ""}},
        )
    )
    assert [
        ("keep", "P5Y", "retain.consumer-allowed"),
        ("keep", "P0D", "retain.zero-retention"),
        ("allow", None, "train.consumer-allowed"),
        ("deny", None, "send.no-metrics"),
        ("allow", None, "send.default"),
    ] == [(one["effect"], one.get("retention"), one["clause"]) for one in found]
    sha256 = json.loads(bailee("show", "--json")[0])["document"]
    assert {sha256} == {one["document"] for one in found}


@pytest.mark.row("P1")
def test_a_bad_line_is_an_error_on_its_line_and_the_rest_goes_on() -> None:
    """Errors stand where their lines stood; the exit status tells that there were some."""
    bad: list[str] = [
        "",
        "nonsense",
        "[]",
        json.dumps({**RETAIN, "plan": "platinum"}),
        json.dumps({**RETAIN, "zero_retention": "no"}),
        json.dumps({key: value for key, value in RETAIN.items() if key != "channel"}),
        json.dumps({**RETAIN, "colour": "red"}),
        json.dumps({**SEND, "env": {"PATH": "/bin"}}),
        json.dumps({**SEND, "flow": "\ud800"}),
        json.dumps({**RETAIN, "action": "delete"}),
        '{"action": "retain", "action": "train"}',
        "x" * 200_000,
    ]
    given = "".join(f"{one}\n{json.dumps(RETAIN)}\n" for one in bad)
    found = answers(given, status=2)
    assert len(bad) * 2 == len(found)
    for number, one in enumerate(found, start=1):
        if number % 2:
            assert {"error", "line"} == set(one)
            assert number == one["line"]
            assert {"code", "message", "hint"} == set(one["error"])
        else:
            assert "retain.consumer-allowed" == one["clause"]
    _, errors = bailee("decide", "--batch", given=given, status=2)
    assert f"error: {len(bad)} lines were not decided; the first is line 1." in errors


def test_a_batch_needs_no_last_newline_and_no_lines() -> None:
    """The last line counts without its newline; nothing in, nothing out."""
    assert 1 == len(answers(json.dumps(RETAIN)))
    assert [] == answers("")


def test_a_batch_keeps_its_order_at_length() -> None:
    """Many lines come back as many, each in its place."""
    plans = ["free", "team"]
    given = lines(*({**RETAIN, "plan": plans[n % 2]} for n in range(5000)))
    found = [one["retention"] for one in answers(given)]
    assert ["P5Y", "P30D"] * 2500 == found


def test_a_batch_answers_before_its_input_ends() -> None:
    """Another program can ask and wait for each answer."""
    with subprocess.Popen(
        [*BAILEE, "decide", "--batch"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as running:
        assert running.stdin is not None and running.stdout is not None
        for _ in range(3):
            running.stdin.write(lines(SEND).encode())
            running.stdin.flush()
            assert "send.default" == json.loads(running.stdout.readline())["clause"]
        running.stdin.close()
        assert 0 == running.wait()


def test_a_batch_ends_quietly_when_nobody_reads() -> None:
    """`| head -1` is no failure with a traceback."""
    command = " ".join(f"'{one}'" for one in BAILEE) + " decide --batch | head -1"
    done = subprocess.run(
        ["/bin/sh", "-c", command], input=lines(*[SEND] * 20_000).encode(), capture_output=True,
        check=False,
    )  # fmt: skip
    assert 1 == len(done.stdout.splitlines())
    assert b"Traceback" not in done.stderr


@pytest.mark.row("P1")
def test_explain_says_it_in_a_sentence_with_reasons() -> None:
    """Words or JSON, English or Chinese, with every clause that was passed over."""
    words = [f"{name}={str(value).lower()}" for name, value in RETAIN.items() if name != "action"]
    out, _ = bailee("explain", "retain", *words)
    assert "This session transcript (Pro plan) is kept for 5 years." == out.splitlines()[0]
    assert "retain.consumer-allowed" in out
    assert "zero_retention is false, not true" in out
    assert "保留 5 年" in bailee("explain", json.dumps(RETAIN), "--lang", "zh")[0]
    found = json.loads(bailee("explain", "retain", *words, "--json")[0])
    assert ["retain.zero-retention"] == [one["clause"] for one in found["passed_over"]]
    assert found["sentence"] == out.splitlines()[0]


def test_nothing_is_cut_on_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name too long for its column goes on in the next line."""
    monkeypatch.setenv("COLUMNS", "50")
    out, _ = bailee("explain", "send", "flow=survey", "provider=api")
    assert "…" not in out
    assert "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC" in re.sub(r"\s", "", out)


def test_a_question_with_an_error_has_a_hint() -> None:
    """The nearest known value is offered."""
    _, errors = bailee("explain", "send", "flow=metric", "provider=api", status=2)
    assert "error: flow can't be 'metric'.\nhint: did you mean metrics?\n" == errors


@pytest.mark.row("P1")
def test_show_lists_clauses_and_one_of_them() -> None:
    """Every clause with its condition; one with its text and place."""
    out, _ = bailee("show")
    assert "retain.consumer-allowed" in out and "state.runs-locally" in out
    one, _ = bailee("show", "send.nonessential", "--lang", "zh")
    assert "一个变量即可同时关闭" in one and "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=set" in one
    assert "S5" in json.loads(bailee("show", "send.nonessential", "--json")[0])["rows"]
    _, errors = bailee("show", "send.nonesential", status=2)
    assert "did you mean send.nonessential?" in errors


@pytest.mark.row("P3")
def test_diff_says_what_changes_for_whom(edited: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line for the change; nothing for a document against itself."""
    monkeypatch.setenv("COLUMNS", "250")  # one line on a terminal that has room for it
    assert "No difference.\n" == bailee("diff", "shipped", "shipped")[0]
    out, _ = bailee("diff", "shipped", str(edited))
    assert "30 days → 90 days" in out
    kept_alike = (
        "session transcript / task and output of a cloud session / code changes of a cloud session"
    )
    assert f"{kept_alike}; commercial plans; an ordinary key" in out
    found = json.loads(bailee("diff", "shipped", str(edited), "--json")[0])
    assert [630] == [one["combinations"] for one in found["changes"]]


@pytest.mark.row("P3")
@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_page_is_written_to_a_file_or_printed(tmp_path: Path, language: str) -> None:
    """Markdown on standard output, HTML by the file's name, the same clauses in both."""
    printed, _ = bailee("page", "--lang", language)
    assert printed.startswith("# ")
    path = tmp_path / "page.html"
    bailee("page", "--lang", language, "--output", str(path))
    assert path.read_text().startswith("<!doctype html>")
    for clause in json.loads(bailee("show", "--json")[0])["clauses"]:
        assert clause[language] in printed and clause["id"] in path.read_text()


def test_a_page_that_can_not_be_written_is_said_plainly() -> None:
    """A folder that is not there is an error with a hint."""
    _, errors = bailee("page", "--lang", "en", "--output", "/nowhere/page.md", status=2)
    assert errors.startswith("error: /nowhere/page.md can't be written")


@pytest.mark.row("P5")
def test_the_shipped_versions_are_listed_and_used_by_name() -> None:
    """Oldest first, with what each changed; a version can be given wherever a document can."""
    out, _ = bailee("history")
    assert out.index("2025-08-28") < out.index("2025-10-17") < out.index("2025-10-27, which holds")
    assert "30 days → 5 years" in out
    told = json.loads(bailee("history", "--json")[0])
    assert ["2025-10-27"] == [one["version"] for one in told if one["holds"]]
    assert "bug report" in bailee("diff", "2025-08-28", "2025-10-17")[0]
    assert "2026-08-22" in bailee("page", "--lang", "en", "--document", "2026-08-22")[0]
    report = {**RETAIN, "data_class": "feedback_report"}
    answer = json.loads(bailee("decide", json.dumps(report), "--document", "2025-08-28")[0])
    assert "P30D" == answer["retention"]


@pytest.mark.row("P5")
def test_whom_a_document_would_concern_is_asked_of_a_home(edited: Path, tmp_path: Path) -> None:
    """In numbers; without a home it is said that there is none, and a broken document first."""
    home = str(tmp_path / "home")
    bailee("try", str(edited), "--home", home, status=2)
    processes.run(
        "key", "create", "--plan", "pro", "--home", home,
        env=clean_environment(Path("/nonexistent")),
    )  # fmt: skip
    out, _ = bailee("try", str(edited), "--home", home)
    assert "of 0 sessions of 0 accounts, 0 of 0 are decided otherwise. Nothing was changed." in out
    told = json.loads(bailee("try", str(edited), "--home", home, "--json")[0])
    assert ([], 0) == (told["concerns"], told["changed_sessions"])
    out, _ = bailee("diff", "shipped", str(edited), "--home", home)
    assert "30 days → 90 days" in out
    assert "of 0 sessions of 0 accounts" in out
