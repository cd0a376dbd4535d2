"""Each way a document can be wrong is refused, with file, line and reason."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bailee.errors import CODES
from bailee.policy import Unsound, space
from bailee.policy.check import check

Refused = Callable[[str | bytes], Unsound]

EXTRA_CLAUSE = """
[[send]]
id = "send.never"
heading = "providers"
rows = ["S4"]
when = { provider = "api", flow = "metrics" }
then = "allow"
en = "Never reached."
zh = "永远不会用到。"
"""

# what is replaced, by what, the line that is named (by its text after the change), the reason
MALFORMED: dict[str, tuple[str, str, str, str]] = {
    "unknown key": (
        "[dates]\n",
        "[dates]\ncolour = 1\n",
        "colour = 1",
        "'colour' is not a key that belongs here",
    ),
    "unknown table": ("[dates]\n", "[datse]\nx = 1\n[dates]\n", "[datse]", "'datse' is not a key"),
    "unknown key of a clause": (
        'id = "train.survey"\n',
        'id = "train.survey"\nfro = "P5Y"\n',
        'fro = "P5Y"',
        "'fro' is not a key that belongs here",
    ),
    "missing key": (
        'on_recorder_failure = "refuse"\n',
        "",
        "# The data policy.",
        "on_recorder_failure is missing",
    ),
    "sign-up for a plan that is not for consumers": (
        'sign_up = ["free", "pro", "max"]',
        'sign_up = ["free", "team"]',
        'sign_up = ["free", "team"]',
        "sign_up names 'team', which is no plan for consumers",
    ),
    "a route that is no path": (
        "[credentials]",
        'files = { begins = ["v1/files/"], en = "files", zh = "文件" }\n[credentials]',
        'files = { begins = ["v1/files/"]',
        "'v1/files/' is no path at a provider",
    ),
    "a route without a path": (
        "[credentials]",
        'files = { en = "files", zh = "文件" }\n[credentials]',
        "files = { en",
        "begins is missing",
    ),
    "a time without a database that is longer than a week": (
        "without_database = { kept = 60, unkept = 60 }",
        "without_database = { kept = 60, unkept = 10081 }",
        "without_database = {",
        "unkept is longer than a week",
    ),
    "a time without a database at gateways that is longer than a week": (
        "without_database = { kept = 60, unkept = 60 }",
        "without_database = { kept = 60, unkept = 60, gateways = 10081 }",
        "without_database = {",
        "gateways is longer than a week",
    ),
    "a time without a database of one kind of key alone": (
        "without_database = { kept = 60, unkept = 60 }",
        "without_database = { kept = 60 }",
        "without_database = {",
        "unkept is missing here",
    ),
    "something that nothing can open": (
        'cloud_opens = ["hosts", "networks"]',
        'cloud_opens = ["hosts", "ports"]',
        'cloud_opens = ["hosts", "ports"]',
        "cloud_opens names 'ports', which nothing is called that can be opened",
    ),
    "a demand of the network that is none": (
        "\n[dates]\n",
        '\n[[network]]\nid = "network.none"\nheading = "cloud"\nrows = ["C3"]\nen = "x"\nzh = "x"\n'
        "[dates]\n",
        '[[network]]\nid = "network.none"',
        "network.none demands nothing",
    ),
    "a host that could be read in two ways": (
        "\n[dates]\n",
        '\n[[network]]\nid = "network.none"\ndeny = ["0x7f.1"]\n[dates]\n',
        'deny = ["0x7f.1"]',
        "'0x7f.1' is no host",
    ),
    "a bound of what nothing decides": (
        'of = "old_keys"',
        'of = "old_locks"',
        'of = "old_locks"',
        "of can't be 'old_locks'",
    ),
    "a bound twice": (
        'of = "metrics"',
        'of = "errors"',
        'of = "errors"\nonly = ["store", "onward"]\nen = "So are',
        "errors is bounded twice",
    ),
    "a time of keys by the calendar": (
        'at_most = "PT24H"',
        'at_most = "P1M"',
        'at_most = "P1M"\nen = "With',
        "P1M is not in hours or days",
    ),
    "no time at all": (
        'at_most = "P14D"',
        'at_most = "P0D"',
        'at_most = "P0D"',
        "P0D is no time, or over a year",
    ),
    "a place where nothing goes": (
        'of = "errors"\nonly = ["store", "onward"]',
        'of = "errors"\nonly = ["tape"]',
        'only = ["tape"]',
        "'tape' is nowhere that errors go",
    ),
    "a size that is none": (
        'of = "answers"\nat_most = "P1M"',
        'of = "stored"\nat_most = "0 MiB"',
        'at_most = "0 MiB"',
        "'0 MiB' is no size",
    ),
    "unknown format": (
        "bailee-policy/1",
        "bailee-policy/2",
        'format = "bailee-policy/2"',
        "a format that this version does not know",
    ),
    "wrong type of a text": (
        'setting = "local_transcript_days"',
        "setting = 5",
        "setting = 5",
        "setting must be a string",
    ),
    "wrong type of a number": (
        "default_days = 30",
        "default_days = true",
        "default_days = true",
        "default_days must be a whole number",
    ),
    "negative number": (
        "default_days = 30",
        "default_days = -1",
        "default_days = -1",
        "default_days must be a whole number, zero or more",
    ),
    "default over the largest": (
        "default_days = 30",
        "default_days = 31",
        "default_days = 31",
        "default_days is more than max_days",
    ),
    "date as text": (
        "choice_from = 2025-08-28",
        'choice_from = "2025-08-28"',
        "choice_from =",
        "choice_from must be a date",
    ),
    "date with a time": (
        "choice_from = 2025-08-28",
        "choice_from = 2025-08-28 10:00:00",
        "choice_from =",
        "must be a date without a time",
    ),
    "date that does not exist": (
        "decide_by = 2025-10-08",
        "decide_by = 2025-02-30",
        "decide_by =",
        "This is not TOML",
    ),
    "dates in the wrong order": (
        "decide_by = 2025-10-08",
        "decide_by = 2025-08-27",
        "decide_by =",
        "decide_by is before choice_from",
    ),
    "version that is not the day": (
        'version = "2025-10-27"',
        'version = "2025-10-28"',
        "version =",
        "version must be the effective date",
    ),
    "not TOML": ("[dates]\n", "[dates\n", "[dates", "This is not TOML"),
    "unknown fact": (
        "when = { zero_retention = true }\nthen",
        "when = { zero_retension = true }\nthen",
        "when = { zero_retension",
        "'zero_retension' is not a fact of train",
    ),
    "fact of another action": (
        'when = { provider = "bedrock" }',
        'when = { plan = "free" }',
        'when = { plan = "free" }',
        "'plan' is not a fact of send",
    ),
    "unknown fact value": (
        'channel = ["bedrock", "vertex", "openai",',
        'channel = ["bedrock", "vortex", "openai",',
        'when = { segment = "commercial", partner_programme = true, channel',
        "channel can't be 'vortex'",
    ),
    "flag as text": (
        "when = { zero_retention = true }\nthen",
        'when = { zero_retention = "true" }\nthen',
        'when = { zero_retention = "true"',
        "zero_retention must be true or false",
    ),
    "fact without a value": (
        'when = { data_class = "survey_rating" }\nthen = "deny"',
        'when = { data_class = [] }\nthen = "deny"',
        "when = { data_class = [] }",
        "data_class lists no value",
    ),
    "unknown effect": (
        'then = "skip"',
        'then = "keep"',
        'then = "keep"',
        "then can't be 'keep'",
    ),
    "wrong period": ('for = "P5Y"', 'for = "5 years"', 'for = "5 years"', "is not a period"),
    "period where nothing is kept": (
        'id = "train.survey"\n',
        'id = "train.survey"\nfor = "P5Y"\n',
        'for = "P5Y"',
        "'for' is not a key that belongs here",
    ),
    "id used twice": (
        'id = "send.vertex"',
        'id = "send.bedrock"',
        'id = "send.bedrock"\nheading = "providers"\nrows = ["S4"]\nwhen = { provider = "vertex"',
        "'send.bedrock' is used twice",
    ),
    "id that is none": (
        'id = "send.vertex"',
        'id = "Send Vertex"',
        'id = "Send Vertex"',
        "can't be an id",
    ),
    "unknown heading": (
        'heading = "survey"\nrows = ["F3"]\nwhen',
        'heading = "surveys"\nrows = ["F3"]\nwhen',
        'heading = "surveys"',
        "heading can't be 'surveys'",
    ),
    "row that is none": (
        'rows = ["S4", "S6"]',
        'rows = ["S4", "6"]',
        'rows = ["S4", "6"]',
        "'6' is not a row's id",
    ),
    "unknown segment": (
        'free = { segment = "consumer"',
        'free = { segment = "customer"',
        "free = {",
        "segment can't be 'customer'",
    ),
    "unknown switch of a flow": (
        '  "DISABLE_BUG_COMMAND",\n',
        '  "DISABLE_BUG",\n',
        '  "DISABLE_BUG",',
        "'DISABLE_BUG' is not a switch of this document",
    ),
    "missing choice": (
        'none = { en = "no choice made", zh = "尚未选择" }\n',
        "",
        "[training_choices]",
        "training_choices lacks 'none'",
    ),
    "missing translation": (
        'en = "Metrics are off where their variable is set."\n',
        "",
        '[[send]]\nid = "send.no-metrics"',
        "en is missing here",
    ),
    "invariant that demands nothing": (
        'never = "skip"\n',
        "",
        '[[invariant]]\nid = "undecided-consumers-are-asked"',
        "An invariant of choose needs one of: never, always",
    ),
    "exemption of everything": (
        'unless = { data_class = "transcript" }',
        "unless = {}",
        "unless = {}",
        "exempts everything",
    ),
}

OTHER_PROVIDERS = '"bedrock", "vertex", "openai", "google", "azure", "foundry"'
OFF = 'bedrock = "off", openai = "off", google = "off", azure = "off", foundry = "off"'
UNSOUND: dict[str, tuple[str, str, str, str]] = {
    "gap": (
        'when = { data_class = "cloud_workspace" }\nthen',
        'when = { data_class = "cloud_workspace", plan = "free" }\nthen',
        '[[retain]]\nid = "retain.cloud-workspace"',
        "No clause of retain decides data_class=cloud_workspace, plan=pro, channel=api, "
        "training_choice=allowed, zero_retention=false, partner_programme=false; "
        "588 of 9408 combinations are left open.",
    ),
    "dead clause": (
        "# ── Stated",
        f"{EXTRA_CLAUSE}\n# ── Stated",
        '[[send]]\nid = "send.never"',
        "send.never never decides: send.use-bedrock, send.use-vertex, send.use-foundry, "
        "send.nonessential, send.no-metrics, send.do-not-track, send.default decide all it "
        "matches.",
    ),
    "shadowed clause": (
        'segment = "consumer", training_choice = "refused" }\nthen = "keep"',
        'training_choice = ["refused", "none"] }\nthen = "keep"',
        '[[retain]]\nid = "retain.consumer-undecided"',
        "retain.consumer-undecided never decides: retain.zero-retention, retain.consumer-refused",
    ),
    "laxer clause first": (
        '[[train]]\nid = "train.inactive"',
        '[[train]]\nid = "train.early"\nheading = "training"\nrows = ["T2"]\n'
        'when = { data_class = "transcript", training_choice = "allowed", plan = "max" }\n'
        'then = "allow"\nen = "Early."\nzh = "过早。"\n\n[[train]]\nid = "train.inactive"',
        '[[train]]\nid = "train.early"',
        "train.early and the stricter train.inactive both match data_class=transcript, plan=max, "
        "channel=api, training_choice=allowed, zero_retention=false, partner_programme=false, "
        "active_since_choice=false, and neither is an exception to the other.",
    ),
    "broken invariant": (
        'when = { segment = "commercial" }\nthen = "deny"',
        'when = { segment = "commercial" }\nthen = "allow"',
        '[[train]]\nid = "train.commercial"',
        "train.commercial breaks the invariant commercial-needs-opt-in (line 1155): allow for "
        "data_class=transcript, plan=team, channel=api, training_choice=allowed, "
        "zero_retention=false, partner_programme=false, active_since_choice=true; "
        "105 combinations.",
    ),
    "invariant about nothing": (
        f"when = {{ provider = [{OTHER_PROVIDERS}] }}\nnever",
        'when = { provider = "api" }\nunless = { provider = ["api", "vertex"] }\nnever',
        '[[invariant]]\nid = "quiet-on-other-providers"',
        "The invariant quiet-on-other-providers covers no combination.",
    ),
    "flow against its defaults": (
        f'default = {{ api = "on", vertex = "off", {OFF} }}\nswitches = [\n  "DISABLE_TELEMETRY"',
        f'default = {{ api = "on", vertex = "on", {OFF} }}\nswitches = [\n  "DISABLE_TELEMETRY"',
        "[flows.metrics]",
        "The flow metrics is off for flow=metrics, provider=vertex, against its defaults",
    ),
    "switch that turns a flow off when empty": (
        'when = { flow = "errors", DISABLE_ERROR_REPORTING = "set" }',
        'when = { flow = "errors", DISABLE_ERROR_REPORTING = "empty" }',
        "[flows.errors]",
        "The flow errors is off for flow=errors, provider=api, DISABLE_ERROR_REPORTING=empty",
    ),
    "selected provider that keeps a flow on": (
        '  "CLAUDE_CODE_USE_FOUNDRY",\n]\n\n[flows.errors]',
        "]\n\n[flows.errors]",
        "[flows.metrics]",
        "so CLAUDE_CODE_USE_FOUNDRY, which selects it, must turn it off",
    ),
    "local transcripts beyond their clause": (
        "max_days = 30",
        "max_days = 31",
        "[local_transcripts]",
        "local_transcript_days can be 31 days, but retain.local-transcript keeps",
    ),
}


def changed(text: str, old: str, new: str) -> str:
    """The text with one thing changed, which must have been there."""
    assert old in text
    return text.replace(old, new, 1)


@pytest.mark.row("P2")
@pytest.mark.parametrize("case", [*MALFORMED, *UNSOUND])
def test_a_wrong_document_is_refused_where_it_is_wrong(
    shipped: str, refused: Refused, case: str
) -> None:
    """The refusal names file, line and reason, and has the exit status of a document error."""
    old, new, at, reason = {**MALFORMED, **UNSOUND}[case]
    text = changed(shipped, old, new)
    refusal = refused(text)
    fitting = [one for one in refusal.problems if reason in one.reason]
    assert fitting, [str(one) for one in refusal.problems]
    start = text.rindex(at) if case == "id used twice" else text.index(at)
    assert ("d.toml", text.count("\n", 0, start) + 1) == (fitting[0].file, fitting[0].line)
    assert str(fitting[0]).startswith(f"d.toml:{fitting[0].line}: ")
    assert (1, "policy_document") == (CODES[refusal.code].exit_status, refusal.code)


@pytest.mark.row("P2")
def test_every_problem_is_named_and_the_first_comes_first(shipped: str, refused: Refused) -> None:
    """Two defects are two problems; the message is the first and says that there are more."""
    text = changed(shipped, *UNSOUND["broken invariant"][:2])
    text = changed(text, *UNSOUND["gap"][:2])
    refusal = refused(text)
    assert len(refusal.problems) > 1
    assert str(refusal.problems[0]) in refusal.message
    assert f"(and {len(refusal.problems) - 1} more)" in refusal.message


def test_bytes_that_are_not_text_are_refused_with_their_line(refused: Refused) -> None:
    """A document that is not UTF-8 is refused where it stops being so."""
    assert 2 == refused(b'format = "x"\n# \xff\n').problems[0].line


def test_an_empty_document_is_refused(refused: Refused) -> None:
    """Nothing at all decides nothing."""
    assert "format is missing" in refused("").problems[0].reason


@pytest.mark.row("P2")
def test_clauses_too_intricate_to_prove_are_refused(
    shipped: str, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What can't be proved is not accepted."""
    monkeypatch.setattr(space, "MOST_BOXES", 2)
    assert "too intricate to be proved" in refused(shipped + "\n").message


@pytest.mark.row("P2", "G1")
def test_too_many_clauses_are_refused(shipped: str, refused: Refused) -> None:
    """What takes too long to prove is not begun."""
    more = "".join(EXTRA_CLAUSE.replace("send.never", f"send.never{n}") for n in range(300))
    assert "There are more than 300 of send" in refused(shipped + more).message


@pytest.mark.row("P2")
def test_many_switches_that_nothing_reads_are_proved_as_well(shipped: str) -> None:
    """Forty more variables make 3^40 times as many combinations, all of them decided."""
    more = "".join(f'SWITCH_{n} = {{ en = "x", zh = "x" }}\n' for n in range(40))
    text = changed(shipped, "[switches]", f"[switches]\n{more}#")
    few, many = check(shipped.encode(), "d.toml"), check(text.encode(), "d.toml")
    assert 3**40 * sum(few.decided["send"].values()) == sum(many.decided["send"].values())


def test_deep_nesting_is_refused_and_does_not_crash(refused: Refused) -> None:
    """A hostile document ends in a refusal."""
    assert refused("a = " + "[" * 100_000 + "]" * 100_000).problems


@pytest.mark.row("R5", "R6", "P2")
def test_no_document_brings_back_what_was_deleted(shipped: str, refused: Refused) -> None:
    """A clause that keeps what goes on with it is refused, also where no invariant forbids it."""
    start = shipped.index('[[invariant]]\nid = "deleted-stays-deleted"')
    end = shipped.index('[[invariant]]\nid = "erased-stays-erased"')
    text = (shipped[:start] + shipped[end:]).replace(
        'when = { session_deleted = true }\nthen = "drop"',
        'when = { session_deleted = true }\nthen = "keep"',
    )
    (problem,) = refused(text).problems
    assert "resume.deleted keeps what goes on with what is gone" in problem.reason


@pytest.mark.row("O4", "P2")
def test_no_document_answers_from_elsewhere_than_demanded(shipped: str, refused: Refused) -> None:
    """A clause that lets it is refused, also where no invariant forbids it; and what can be
    demanded is a region that the document tells apart.
    """
    start = shipped.index('[[invariant]]\nid = "residency-us-holds"')
    end = shipped.index('[[invariant]]\nid = "residency-us-can-work"')
    text = (shipped[:start] + shipped[end:]).replace(
        'region = ["us", "elsewhere", "undeclared"]', 'region = ["us", "undeclared"]'
    )
    found = refused(text).problems
    assert "lets who demands eu be answered from elsewhere: " in found[0].reason
    assert "region=elsewhere" in found[0].reason

    unknown = shipped.replace("\nanywhere = {", '\nmars = { en = "m", zh = "m" }\nanywhere = {')
    assert "'mars' is no region of this document." in refused(unknown).problems[0].reason
