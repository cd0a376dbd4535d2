"""`bailee policy`: check, decide, explain, show, compare and publish the policy document."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, BinaryIO, Literal

import orjson
import typer

from bailee.cli import policy_versions
from bailee.cli.errors import report, reporting
from bailee.cli.managed import settings
from bailee.cli.policy_options import (
    DocumentOption,
    JsonOption,
    OwnOption,
    loaded,
)
from bailee.cli.policy_tables import plain, unheaded
from bailee.cli.show import console, print_json, say, write_file, write_text
from bailee.cli.speaking import LanguageOption, spoken
from bailee.errors import InputError
from bailee.policy import Policy, Unsound, load
from bailee.policy import as_json as shapes
from bailee.policy.asking import LONGEST_LINE, question, typed
from bailee.policy.bounds import setting_of
from bailee.policy.document import Clause, Language
from bailee.policy.wording import bound_in_words, outcome_in_words

app = typer.Typer(
    help="The data policy: check it, ask it, compare versions, publish its page.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.command()(policy_versions.diff)
app.command("try")(policy_versions.try_document)
app.command()(policy_versions.activate)
app.command()(policy_versions.held)
app.command()(policy_versions.history)
Question = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="ACTION NAME=VALUE...",
        help="An action and its facts, or one JSON object with both. Switches are facts by their "
        "own names (DISABLE_TELEMETRY=1); those not named are not set.",
    ),
]


@app.command()
def check(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="A document, or a shipped version."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Try every combination of facts: exactly one clause decides, and the invariants hold."""
    from bailee.policy.check import check as checked
    from bailee.policy.loading import content, name_of

    began = time.perf_counter()
    with reporting():
        try:
            found = checked(content(file), name_of(file))
        except Unsound as unsound:
            _report_all(unsound, as_json=as_json)
            raise typer.Exit(unsound.exit_status) from None
        seconds = time.perf_counter() - began
        document = found.policy.document
        if as_json:
            print_json(
                {
                    "sound": True,
                    "file": document.file,
                    "document": document.sha256,
                    "version": document.version,
                    "combinations": found.combinations,
                    "seconds": round(seconds, 3),
                    "decided": found.decided,
                    "invariants": [one.id for one in document.invariants],
                    "flows": list(document.flows),
                }
            )
            return
        out = console()
        out.print(f"{document.file}  version {document.version}")
        out.print(f"sha256 {document.sha256}\n", style="dim")
        rows = [
            (action, f"{sum(counts.values()):,}", str(len(counts)))
            for action, counts in found.decided.items()
        ]
        out.print(
            plain(("action", "combinations", "clauses"), rows, right=("combinations", "clauses"))
        )
        out.print()
        proved = [(one.id, one.text.en) for one in document.invariants]
        out.print(plain(("invariant, proved", ""), proved))
        out.print()
        say(
            f"{found.combinations:,} combinations, each decided by exactly one clause; "
            f"{len(document.invariants)} invariants and {len(document.flows)} flows hold; "
            f"{seconds:.2f} s"
        )


@app.command()
def decide(
    words: Question = None,
    document: DocumentOption = None,
    batch: Annotated[
        bool, typer.Option("--batch", help="JSON lines in, one decision or error per line out.")
    ] = False,
) -> None:
    """Ask for a decision; one JSON object per answer."""
    with reporting():
        policy = load(document)
        if batch:
            if words:
                raise InputError("--batch reads standard input.", hint="give no facts with it")
            failed, first = _run_batch(policy, sys.stdin.buffer, sys.stdout.buffer)
            if failed:
                raise InputError(
                    f"{failed} {'line was' if failed == 1 else 'lines were'} not decided; "
                    f"the first is line {first}.",
                    hint="each such line has its error in the output",
                )
            return
        print_json(shapes.decision_as_json(policy.decide(*typed(policy, words or []))))


@app.command()
def explain(
    words: Question = None,
    document: DocumentOption = None,
    own: OwnOption = None,
    lang: LanguageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what is decided, by which clause, and why the clauses before it did not apply."""
    from bailee.policy.wording import sentence, why_not

    with reporting():
        language = spoken(lang, as_json=as_json)
        policy = loaded(document, own)
        found = policy.explain(*typed(policy, words or []))
        if as_json:
            print_json(shapes.explanation_as_json(policy.document, found, language))
            return
        told, clause = sentence(policy.document, found, language), found.clause
        out = console()
        out.print(told, style="bold")
        out.print(f"\n{clause.text.of(language)}")
        theirs = found.operators
        if theirs is not None:
            has = outcome_in_words(theirs.effect, theirs.retention, language)
            out.print(f"{clause.id}  {own}:{clause.line}", style="dim")
            out.print(f"{policy.document.file} has: {has} ({theirs.clause})")
        else:
            place = f"{policy.document.file}:{clause.line}"
            out.print(f"{clause.id}  {place}  serves {', '.join(clause.rows)}", style="dim")
        if found.passed_over:
            out.print("\nPassed over, in order:" if language == "en" else "\n依次未适用的条款：")
            rows = [
                (f"  {one.clause.id}", why_not(policy.document, one, language))
                for one in found.passed_over
            ]
            out.print(unheaded(rows))


@app.command()
def show(
    clause: Annotated[str | None, typer.Argument(help="One clause, by its id.")] = None,
    document: DocumentOption = None,
    lang: LanguageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the document's clauses, or one of them."""
    from bailee.policy.network import conditions

    with reporting():
        language = spoken(lang)
        policy = load(document)
        whole = policy.document
        chosen = [one for one in whole.every_clause if clause in (None, one.id)]
        if not chosen:
            from bailee.policy.reading import one_of

            raise InputError(
                "There is no clause with this id.",
                code="not_found",
                hint=one_of(clause or "", [one.id for one in whole.every_clause]),
            )
        if as_json:
            listed = [shapes.clause_as_json(one) for one in chosen]
            print_json(
                listed[0]
                if clause
                else {
                    "document": whole.sha256,
                    "version": whole.version,
                    "on_recorder_failure": whole.on_recorder_failure,
                    "on_limits_unknown": whole.on_limits_unknown,
                    "without_database": shapes.outage_as_json(whole.without_database),
                    "prefers": whole.prefers,
                    "sign_up": whole.sign_up,
                    "cloud_opens": whole.cloud_opens,
                    "network": [shapes.demand_as_json(one) for one in whole.network],
                    "bounds": [shapes.bound_as_json(one) for one in whole.bounds],
                    "plans": {one.name: one.segment for one in whole.plans.values()},
                    "clauses": listed,
                }
            )
            return
        out = console()
        if not clause:
            out.print(f"{whole.file}  version {whole.version}")
            out.print(f"sha256 {whole.sha256}", style="dim")
            for action, clauses in whole.clauses.items():
                out.print()
                rows = [
                    (f"  {one.id}", _outcome(one, language), _when(one), " ".join(one.rows))
                    for one in clauses
                ]
                out.print(plain((action, "then", "when", "rows"), rows))
            if whole.network:
                out.print()
                demands = [
                    (f"  {one.clause.id}", one.level or "", ", ".join(one.hosts))
                    for one in whole.network
                ]
                out.print(plain(("network", "at most", "never reached"), demands))
            if whole.bounds:
                out.print()
                bounds = [
                    (f"  {one.clause.id}", setting_of(one.of), bound_in_words(one, language))
                    for one in whole.bounds
                ]
                out.print(plain(("bound", "setting", "as far as"), bounds))
            out.print()
            stated = [(f"  {one.id}", one.text.of(language)) for one in whole.statements]
            out.print(plain(("stated", ""), stated))
            return
        one = chosen[0]
        out.print(one.text.of(language), style="bold")
        about = [("id", one.id), ("place", f"{whole.file}:{one.line}")]
        if one.action is not None:
            about += [
                ("action", one.action),
                ("when", _when(one)),
                ("then", _outcome(one, language)),
            ]
        for demand in whole.network:
            if demand.clause is one:
                said = conditions(demand.level, demand.hosts)
                about += [(key.fact, ", ".join(map(str, key.values))) for key in said]
        for bound in whole.bounds:
            if bound.clause is one:
                about.append(("setting", setting_of(bound.of)))
                about.append(("as far as", bound_in_words(bound, language)))
        about.append(("serves", ", ".join(one.rows)))
        about.append(("heading", next(h.source for h in whole.headings if h.id == one.heading)))
        out.print(unheaded(about))


@app.command()
def page(
    lang: Annotated[Language, typer.Option("--lang", help="The language of the page.")],
    form: Annotated[
        Literal["md", "html"] | None,
        typer.Option("--format", help="Else by the output file's name; else md."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Else standard output.")
    ] = None,
    document: DocumentOption = None,
) -> None:
    """Write the public data-usage page."""
    from bailee.policy import html, markdown
    from bailee.policy.page import page as made

    with reporting():
        by_name = output is not None and output.suffix in (".html", ".htm")
        render = html.render if form == "html" or (form is None and by_name) else markdown.render
        text = render(made(load(document), lang))
        if output is None:
            write_text(text)
            return
        write_file(output, text)


app.command()(settings)


def _run_batch(policy: Policy, source: BinaryIO, sink: BinaryIO) -> tuple[int, int]:
    """Answer each line as soon as it is there: how many could not be decided, and the first."""
    failed = first = number = 0
    for lines in _arriving(source):
        answers = bytearray()
        for text in lines:
            number += 1
            try:
                answer = shapes.decision_as_json(policy.decide(*question(text)))
            except InputError as error:
                answer = shapes.error_as_json(error, number)
                failed += 1
                first = first or number
            answers += orjson.dumps(answer, option=orjson.OPT_APPEND_NEWLINE)
        sink.write(answers)
        sink.flush()
    return failed, first


def _arriving(source: BinaryIO) -> Iterator[list[bytes]]:
    """Lines in groups, as they arrive. Of a line that is too long only the start is held."""
    rest = b""
    while chunk := source.read1(1 << 16):  # type: ignore[attr-defined]
        *lines, rest = (rest + chunk).split(b"\n")
        rest = rest[: LONGEST_LINE + 1]
        if lines:
            yield lines
    if rest:
        yield [rest]


def _report_all(unsound: Unsound, *, as_json: bool) -> None:
    if as_json:
        print_json(shapes.problems_as_json(unsound))
    for problem in unsound.problems:
        report(InputError(str(problem), code=unsound.code, hint=problem.hint))


def _outcome(clause: Clause, language: Language) -> str:
    if clause.effect is None:
        return ""
    return outcome_in_words(clause.effect, clause.retention, language)


def _when(clause: Clause) -> str:
    conditions = [
        f"{one.fact}={'|'.join(str(v).lower() if isinstance(v, bool) else v for v in one.values)}"
        for one in clause.when
    ]
    return " ".join(conditions) or "always"
