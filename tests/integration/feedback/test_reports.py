"""Bug reports, from the request that brings one to the last byte of its key."""

from __future__ import annotations

import http.client
import io
import json
import shutil
import threading
import zipfile
from base64 import b64decode
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select

from bailee.db.engine import open_sqlite
from bailee.db.feedback import feedback_reports
from bailee.db.ingest import received
from bailee.errors import BaileeError, InputError, IntegrityError, StorageError
from bailee.keyring import FileRoot, Keyring, signing
from support.servers.feedback_site import PLANTED, REPORT, Site, body

pytestmark = pytest.mark.both_databases

REDIRECTED = {
    "latestAssistantMessageId": "req_quince",
    "message_count": 2,
    "datetime": "2026-01-01T12:00:00.000Z",
    "description": "medlar: it stops",
    "surface": "cli",
    "scope": "session",
    "platform": "linux",
    "gitRepo": True,
    "commitSha": "quince",
    "terminal": "xterm",
    "version": "2.1.330",
    "transcript": [{"type": "user", "message": {"role": "user", "content": "quince"}}],
    "errors": [{"error": "sorb", "timestamp": "2026-01-01T12:00:00.000Z"}],
    "lastApiRequest": {"model": "m", "messages": ["quince"]},
    "subagentTranscripts": {"a1": [{"quince": 1}]},
    "rawTranscriptJsonl": '{"type":"user","text":"quince"}\n',
    "debugLog": "quince",
    "survey_response": "good",
    "survey_type": "session",
}
"""The shape in which Claude Code 2.1.330 sends a report, as its program makes it."""


@pytest.mark.row("F1")
def test_a_report_is_kept_as_it_was_sent_for_five_years(site: Site) -> None:
    """Its id, until when and by which clause are in the answer; every part comes back."""
    answer = site.send()

    assert "2031-01-01T12:00:00+00:00" == answer["kept_until"]
    assert "retain.feedback-report" == answer["clause"]
    shown = site.ask("feedback.show", id=answer["feedback_id"], key=site.keys["ada"])
    assert REPORT == shown["content"]
    assert list(REPORT) == shown["parts"]


@pytest.mark.row("F1", "R2")
@pytest.mark.parametrize("who", ["ada", "bob", "zed", "zero", "sends"])
def test_whoever_sends_one_has_it_kept_alike(site: Site, who: str) -> None:
    """Any plan, any choice, zero retention and a key that only sends: it was sent on purpose."""
    site.ask("privacy.choose", key=site.keys["bob"], choice="refused")

    assert "2031-01-01T12:00:00+00:00" == site.send(who)["kept_until"]


@pytest.mark.row("F1")
def test_a_redirected_agents_report_is_taken_apart(site: Site) -> None:
    """What names its machine is the environment, what is not known goes with the transcript, and
    the survey's answer that it carries is dropped: it would be joined to who gave it.
    """
    outer = {"content": json.dumps(REDIRECTED), "session_id": "quince"}
    _, _, answer = site.call(
        "POST",
        "/api/claude_cli_feedback",
        json.dumps(outer).encode(),
        authorization=f"Bearer {site.keys['ada']}",
    )

    content = site.ask("feedback.show", id=answer["feedback_id"], key=site.keys["ada"])["content"]
    assert ["description", "transcript", "errors", "environment"] == list(content)
    environment = ("platform", "version", "terminal", "surface", "scope", "datetime")
    assert {*environment, "message_count"} == content["environment"].keys()
    assert REDIRECTED["rawTranscriptJsonl"] == content["transcript"]["rawTranscriptJsonl"]
    assert "quince" == content["transcript"]["commitSha"]
    assert "survey" not in json.dumps(content)
    assert "good" not in json.dumps(content)


@pytest.mark.row("F1", "D4")
def test_nothing_of_a_report_is_in_any_file_log_or_entry(
    site: Site, capfd: pytest.CaptureFixture[str]
) -> None:
    """Planted words are in no file of the home, nor in what was printed or put on record; what is
    looked for can be found, once the report is read.
    """
    report = site.send()["feedback_id"]
    site.ask("feedback.show", id=report, reason="looking into a failure")
    site.ask("feedback.set", id=report, state="linked", issue="https://github.com/o/n/issues/1")
    site.node.sweep(site.clock())

    assert [] == site.files(*PLANTED)
    told = "".join(capfd.readouterr()) + json.dumps(site.ask("audit.list"))
    assert [] == [word for word in PLANTED if word.decode() in told]
    assert [] == site.ask("metrics.list")
    shown = json.dumps(site.ask("feedback.show", id=report))
    assert [] == [word for word in PLANTED if word.decode() not in shown]


@pytest.mark.sqlite_alone
@pytest.mark.row("F4", "R5")
def test_a_withdrawn_report_is_gone_with_its_key(site: Site, tmp_path: Path) -> None:
    """By whoever sent it: unreadable at once, its key and bytes in no file, a receipt and entries
    on record; nor does a copy of the whole home from before open it after a rotation.
    """
    report = site.send()["feedback_id"]
    kept = site.send()["feedback_id"]
    wrapped, key = site.wrapped(report), site.node.keyring.get(f"report:{report}").key
    assert 1 == len(site.files(wrapped))
    copy = tmp_path / "copy"
    site.close()
    shutil.copytree(site.folder, copy)
    site.open()
    site.listen()

    receipt = site.ask("feedback.withdraw", id=report, key=site.keys["ada"])

    assert ("report_withdrawal", "key_destroyed") == (receipt["kind"], receipt["state"])
    assert [] == site.files(wrapped, key)
    assert not (site.folder / "vault" / "reports" / report).exists()
    with pytest.raises(InputError):
        site.ask("feedback.show", id=report, key=site.keys["ada"])
    assert [kept] == [one["id"] for one in site.listed(key=site.keys["ada"])]
    steps = [entry["kind"] for entry in site.ask("audit.list", subject=report)]
    assert ["report_withdrawal.inaccessible", "report_withdrawal.requested"] == steps[-3:-1]
    site.ask("keyring.rotate")
    site.node.sweep(site.clock())
    (last,) = site.ask("retention.receipts", subject=report)
    assert "reclaimed" == last["state"]
    shutil.copy(site.folder / "root" / "root.json", copy / "root" / "root.json")
    engine = open_sqlite(copy / "keyring" / "keyring.db")
    old = Keyring.open(engine, FileRoot(copy / "root" / "root.json"), site.clock)
    with pytest.raises(BaileeError):
        old.get(f"report:{report}")
    engine.dispose()


@pytest.mark.row("F4")
def test_only_who_sent_a_report_sees_and_withdraws_it(site: Site) -> None:
    """Nobody else's key, no key that only sends, no cookie of another; the secret of the answer
    withdraws without any.
    """
    answer = site.send()
    report, path = answer["feedback_id"], f"/api/v1/feedback/{answer['feedback_id']}"
    cookie = site.node.registry.web_sessions.begin(site.ada, client="browser")

    for who in ("bob", "zed", "sends"):
        with pytest.raises(InputError):
            site.ask("feedback.show", id=report, key=site.keys[who])
        with pytest.raises(InputError):
            site.ask("feedback.withdraw", id=report, key=site.keys[who])
    for who, status in (("bob", 404), ("zed", 404), ("sends", 403)):
        assert status == site.call("DELETE", path, x_api_key=site.keys[who])[0]
    assert 401 == site.call("DELETE", path)[0]
    assert 404 == site.call("DELETE", path, x_withdrawal_secret="0" * 32)[0]
    with pytest.raises(InputError):
        site.ask("feedback.withdraw", id=report, secret="x")
    assert [report] == [one["id"] for one in site.listed(cookie=cookie)]

    secret = answer["withdrawal_secret"]
    assert 200 == site.call("DELETE", path, x_withdrawal_secret=secret)[0]
    assert 404 == site.call("DELETE", path, x_withdrawal_secret=secret)[0]
    assert [] == site.listed()


@pytest.mark.row("F4")
def test_a_report_through_an_organisation_is_its_senders(site: Site) -> None:
    """The person sees it signed in and by the key they sent it with; a colleague's key does not."""
    organisation = site.ask("organisation.create", name="Orchard", plan="team", owner=site.ada)
    of = organisation["organisation"]
    site.ask("organisation.member", organisation=of, person="bob@example.org", role="member")
    site.keys["theirs"] = site.ask("key.create", organisation=of, person=site.ada, name="k")["key"]
    bobs = site.ask("key.create", organisation=of, person="bob@example.org", name="k")["key"]
    report, own = site.send("theirs")["feedback_id"], site.send()["feedback_id"]

    def ids(**who: str) -> set[str]:
        return {one["id"] for one in site.listed(**who)}

    assert {report} == ids(key=site.keys["theirs"])
    assert {report, own} == ids(key=site.keys["ada"])
    assert set() == ids(key=bobs)


@pytest.mark.row("F4")
def test_a_list_comes_in_pages(site: Site) -> None:
    """Each report once, the latest first, those of one moment too; and how many there are."""
    sent = [site.send()["feedback_id"] for _ in range(3)]
    site.clock.advance(timedelta(minutes=1))
    latest = site.send()["feedback_id"]
    site.send("bob")
    found, after = [], None
    while True:
        page = site.ask("feedback.list", key=site.keys["ada"], limit=2, after=after)
        found += [one["id"] for one in page["items"]]
        after = page["next"]
        assert 4 == page["total"]
        if after is None:
            break
    assert [latest, *sorted(sent)] == found
    for wrong in ({"after": "no place"}, {"limit": 0}, {"state": "lost"}):
        with pytest.raises(InputError):
            site.ask("feedback.list", **wrong)


@pytest.mark.row("F4", "P4")
def test_a_reports_particulars_are_no_reading(site: Site) -> None:
    """Without its content it is shown without a reason, and that is not on record."""
    report = site.send()["feedback_id"]
    shown = site.ask("feedback.show", id=report, content=False)
    assert (report, list(REPORT), None) == (shown["id"], shown["parts"], shown["content"])
    assert [] == site.ask("audit.list", kind="access.read", subject=report)


@pytest.mark.row("F4", "P4")
def test_staff_read_for_a_reason_that_is_on_record_first(site: Site) -> None:
    """Without one worth the name nothing is read; who was read, by whom and why stays."""
    report = site.send()["feedback_id"]

    with pytest.raises(InputError):
        site.ask("feedback.show", id=report, reason="why")
    site.ask("feedback.show", id=report, reason="matter 12: it stops")
    site.ask("feedback.draft", id=report, reason="matter 12", repository="o/n")

    entries = site.ask("audit.list", kind="access.read", subject=report)
    assert ["matter 12", "matter 12: it stops"] == [e["body"]["reason"] for e in entries]
    with pytest.raises(InputError):
        site.ask("feedback.set", id=report, state="closed", key=site.keys["ada"])


@pytest.mark.row("F4")
def test_what_is_not_set_up_to_file_issues_is_said_and_not_tried_again(site: Site) -> None:
    """Who asks can name a repository, or take the draft: no defect of the server's."""
    report = site.send()["feedback_id"]
    for verb, given in (("draft", {}), ("file", {"repository": "o/n"})):
        with pytest.raises(InputError) as refused:
            site.ask(f"feedback.{verb}", id=report, reason="matter 12", **given)
        assert (409, True) == (refused.value.http_status, bool(refused.value.hint))


@pytest.mark.row("F4")
def test_triage_goes_from_open_to_linked_and_closed(site: Site) -> None:
    """Each step is on record; only an issue's address is linked to; lists go by state."""
    report, other = site.send()["feedback_id"], site.send("bob")["feedback_id"]
    for wrong in (
        "",
        "medlar",
        "javascript:alert(1)",
        "https://x/y?q=1",
        "https://a@b/",
        "x" * 400,
    ):
        with pytest.raises(InputError):
            site.ask("feedback.set", id=report, state="linked", issue=wrong)

    address = "https://github.com/orchard/public/issues/7"
    assert address == site.ask("feedback.set", id=report, state="linked", issue=address)["issue"]
    site.ask("feedback.set", id=other, state="closed")

    assert [report] == [one["id"] for one in site.listed(state="linked")]
    assert [other] == [one["id"] for one in site.listed(state="closed")]
    assert [] == site.listed(state="open")
    entries = site.ask("audit.list", kind="report.changed")
    assert ["closed", "linked"] == [entry["body"]["state"] for entry in entries]


@pytest.mark.row("F1", "R5")
def test_a_report_is_destroyed_after_its_time(site: Site) -> None:
    """Five years: the day before it is there; past its time nobody reads it, sweep or none; the
    sweep destroys its key, with a receipt.
    """
    report = site.send()["feedback_id"]
    wrapped = site.wrapped(report)
    before, after = site.clock() + timedelta(days=1825), site.clock() + timedelta(days=1827)

    site.node.sweep(before)
    assert [report] == [one["id"] for one in site.listed(now=before.isoformat())]
    assert [] == site.listed(now=after.isoformat())
    with pytest.raises(InputError):
        site.ask("feedback.show", id=report, now=after.isoformat())

    assert 1 == site.node.sweep(after).gone["reports"]["reports"]
    assert [] == site.files(wrapped)
    (receipt,) = site.ask("retention.receipts", subject=report)
    assert "report_expiry" == receipt["kind"]


@pytest.mark.sqlite_alone
@pytest.mark.row("R6")
def test_a_persons_copy_has_their_reports_and_their_erasure_takes_them(site: Site) -> None:
    """With content, and nobody else's; erased, each has a receipt within the signed one; what an
    account of nobody's sent goes with that account.
    """
    report, bobs = site.send()["feedback_id"], site.send("bob")["feedback_id"]
    zeds = site.send("zed")["feedback_id"]
    items = list(site.ask("person.export", id="ada@example.org"))
    raw = b"".join(b64decode(item["data"]) for item in items if "data" in item)
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        names = archive.namelist()
        assert REPORT == json.loads(archive.read(f"reports/{report}.json"))
        assert f'href="reports/{report}.json"' in archive.read("index.html").decode()
    assert f"reports/{bobs}.json" not in names
    wrapped = site.wrapped(report)

    done = site.ask("person.erase", id="ada@example.org")

    receipt, _ = signing.verify(done["signed"])
    assert [(report, "key_destroyed")] == [(r["report"], r["state"]) for r in receipt["reports"]]
    assert "done" == receipt["state"]
    assert [] == site.files(wrapped)
    assert {bobs, zeds} == {one["id"] for one in site.listed()}
    account = site.ask("feedback.show", id=zeds)["account"]
    site.ask("person.erase", id=account)
    assert [bobs] == [one["id"] for one in site.listed()]
    site.node.sweeping.sweep(site.node.clock())
    with site.node.data.connect() as connection:
        counted = connection.execute(select(received.c.account_id)).scalars()
        assert account not in (left := set(counted)) and 1 == len(left)  # bob's


@pytest.mark.row("R6")
def test_a_report_on_its_way_is_not_kept_of_who_is_erased_meanwhile(site: Site) -> None:
    """Half of it is there when its sender is erased: the other half changes nothing."""
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=30)
    raw = body(REPORT)
    connection.putrequest("POST", "/api/claude_cli_feedback")
    connection.putheader("x-api-key", site.keys["ada"])
    connection.putheader("content-length", str(len(raw)))
    connection.endheaders(raw[:20])
    deadline = threading.Event()
    for _ in range(500):
        if site.receiver.under_way:
            break
        deadline.wait(0.02)
    assert 1 == site.receiver.under_way

    site.ask("person.erase", id="ada@example.org")
    connection.send(raw[20:])

    assert 401 == connection.getresponse().status
    connection.close()
    assert [] == site.listed()
    assert [] == list((site.folder / "vault" / "reports").iterdir())


@pytest.mark.row("F1")
def test_a_report_that_is_sent_again_is_one_report(site: Site) -> None:
    """By what the client calls it; another key's of the same name is another report."""
    first = site.send(idempotency_key="0123456789abcdef")
    again = site.send(idempotency_key="0123456789abcdef")
    others = site.send("bob", idempotency_key="0123456789abcdef")

    assert first == again
    assert first["feedback_id"] != others["feedback_id"]
    assert 2 == len(site.listed())


@pytest.mark.row("F1")
def test_another_report_of_the_same_name_is_refused(site: Site) -> None:
    """Nobody is told that it is kept, and the one that is there stays."""
    key = {"x_api_key": site.keys["ada"], "idempotency_key": "0123456789abcdef"}
    first = site.send(idempotency_key=key["idempotency_key"])
    status, _, said = site.call(
        "POST", "/api/claude_cli_feedback", body(REPORT | {"description": "another"}), **key
    )

    assert (409, True) == (status, "another report" in json.dumps(said))
    assert [first["feedback_id"]] == [one["id"] for one in site.listed()]


def test_what_a_crash_kept_from_arriving_is_gone_at_the_next_start(site: Site) -> None:
    """Its row was there, its answer was never given: neither row, key nor bytes stay."""
    report = site.send()["feedback_id"]
    row = {"id": "fb_half", "state": "arriving", "sent_as": None}
    with site.node.data.begin() as connection:
        (whole,) = connection.execute(feedback_reports.select()).mappings()
        connection.execute(insert(feedback_reports).values(**{**whole, **row}))
    site.node.keyring.dek("report:fb_half", "feedback_report", site.clock() + timedelta(days=1))
    (site.folder / "vault" / "reports" / "fb_half").write_bytes(b"half")
    assert [report] == [one["id"] for one in site.listed()]

    site.close()
    site.open()
    site.listen()

    with pytest.raises(IntegrityError):
        site.node.keyring.get("report:fb_half")
    assert [report] == [p.name for p in (site.folder / "vault" / "reports").iterdir()]
    assert [report] == [one["id"] for one in site.listed()]


@pytest.mark.sqlite_alone
def test_a_withdrawal_that_breaks_off_is_finished_by_the_sweep(site: Site) -> None:
    """A store that fails between receipt and key: the report is unreadable at once, and its key
    goes with the next sweep; no receipt says so before it has.
    """
    report = site.send()["feedback_id"]

    class Failing:
        def destroy(self, _subjects: Any) -> int:
            raise StorageError("no")

    whole = site.node.reports._ending
    site.node.reports._ending = replace(whole, keyring=Failing())  # type: ignore[arg-type]
    with pytest.raises(StorageError):
        site.ask("feedback.withdraw", id=report)
    site.node.reports._ending = whole
    site.node.vault.sweep(site.clock())  # knows sessions, and must not close a report's receipt
    assert "inaccessible" == site.ask("retention.receipts", subject=report)[0]["state"]
    assert [] == site.listed()

    site.node.sweep(site.clock())

    assert "key_destroyed" == site.ask("retention.receipts", subject=report)[0]["state"]
    with pytest.raises(IntegrityError):
        site.node.keyring.get(f"report:{report}")


def test_bytes_that_were_changed_do_not_open(site: Site) -> None:
    """One bit of the ciphertext, or another report's: refused, not shown."""
    report, other = site.send()["feedback_id"], site.send()["feedback_id"]
    folder = site.folder / "vault" / "reports"
    (folder / report).write_bytes((folder / other).read_bytes())

    with pytest.raises(IntegrityError):
        site.ask("feedback.show", id=report)


def test_what_a_client_cut_within_a_character_comes_back(site: Site) -> None:
    """Half of a surrogate pair, a number over 64 bits: kept and shown as they were."""
    inner = f'"description": "cut \\ud83d", "transcript": [{2**70}]'
    odd = json.dumps({"content": "{" + inner + "}"})
    status, _, answer = site.call(
        "POST", "/api/claude_cli_feedback", odd.encode(), x_api_key=site.keys["ada"]
    )

    assert 200 == status
    content = site.ask("feedback.show", id=answer["feedback_id"])["content"]
    assert {"description": "cut \ud83d", "transcript": [2**70]} == content
