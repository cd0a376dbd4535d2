"""Signing in at the gateway: by the protocol itself, with a real OpenID provider, and by the real
Claude Code, unmodified, told nothing but the address.

One server and one provider are there for the file. The client gets an empty environment, a home of
its own, and a proxy that refuses and notes everything that it would ask of another host.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from joserfc import jwt

from bailee.testing.upstream import ScriptedUpstream
from support.browsers.browsing import Visitor
from support.clients import processes
from support.clients.claude_code import Claude, ElseWhere
from support.clients.programs import SIGN_UP, Bailee, clean_environment, message
from support.servers.ci import OURS, Ci
from support.servers.office import Office, confirm
from support.servers.openid import SECRET, provider

PASSWORD = "seven pear trees in a row"
ENGINEERS = ("ina", "ivo", "ida", "ian")


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """See `Office`."""
    folder = tmp_path_factory.mktemp("office")
    bailee = Bailee(folder)
    with ScriptedUpstream(tools_only=False) as upstream:
        bailee.up("--upstream", upstream.url, env={**SIGN_UP, "ORCHARD_SECRET": SECRET})
        try:
            disabled, groups = folder / "disabled", folder / "groups"
            groups.write_text("{}")
            people = {
                one: {"email": f"{one}@orchard.example", "email_verified": True}
                for one in ENGINEERS
            }
            with provider(
                bailee.ready["console"], people, disabled=disabled, groups=groups
            ) as issuer:
                made = bailee.json("organisation", "create", "Orchard", "--plan", "team")
                bailee.json(
                    "organisation", "provider", made["organisation"],
                    "--domain", "orchard.example", "--issuer", issuer,
                    "--client-id", "bailee", "--secret-env", "ORCHARD_SECRET",
                )  # fmt: skip
                yield Office(
                    *(bailee, upstream, made["organisation"], disabled, groups),
                    "orchard.example",
                )
        finally:
            bailee.close()


@pytest.mark.row("O1")
def test_an_engineer_signs_a_client_in_works_and_is_out_when_disabled(office: Office) -> None:
    """The whole way: there by the provider, a token that works on the company's terms, renewed for
    as long as the provider says so.
    """
    begun = office.begin()
    pending = office.claim(begun["device_code"])
    visitor = office.engineer("ina", begun["user_code"])
    done = confirm(visitor, begun["user_code"])
    given = office.claim(begun["device_code"])
    again = office.claim(begun["device_code"])
    message(office.bailee.ready, "hello", given.body["access_token"])
    (session, *_) = office.bailee.sessions()
    renewed = office.renew(given.body["refresh_token"])
    assert 200 == renewed.status, renewed
    office.disabled.write_text("ina\n")
    refused = office.renew(renewed.body["refresh_token"])
    after = office.ask("/managed/settings", bearer=renewed.body["access_token"])

    assert (400, "authorization_pending") == (pending.status, pending.body["error"])
    assert "The client is signed in" in done
    assert (200, 3600, "Bearer") == (
        given.status, given.body["expires_in"], given.body["token_type"],
    )  # fmt: skip
    assert "ina@orchard.example" == given.body["email"]
    assert (400, "expired_token") == (again.status, again.body["error"])
    assert ("team", "retain.commercial") == (session["plan"], session["retention"]["clause"])
    assert 200 == renewed.status
    assert renewed.body["refresh_token"] != given.body["refresh_token"]
    assert (400, "invalid_grant") == (refused.status, refused.body["error"])
    assert 401 == after.status


@pytest.mark.row("O1", "D3")
def test_an_unmodified_client_signs_in_works_and_is_out(
    office: Office, claude: Path, tmp_path: Path
) -> None:
    """Told nothing but the address: it says that sessions are recorded, and on what terms; it works
    on the company's; it is renewed; who is disabled at the provider is out; and from its first
    screen on it asks nobody else anything.
    """
    elsewhere = ElseWhere()
    client = Claude(claude, tmp_path, office.gateway, elsewhere)
    before = {one["id"] for one in office.bailee.json("sessions", "list")}

    said = client.sign_in(lambda code: office.confirmed("ivo", code))
    first = client.kept
    answer = client.run("-p", "How many pear trees stand there?")
    found = [one for one in office.bailee.sessions(1) if one["id"] not in before]
    client.expires()
    renewed = client.run("-p", "And how many quinces?")
    second = client.kept
    office.disabled.write_text("ivo\n")
    client.expires()
    client.run("-p", "And plums?")
    third = client.kept
    elsewhere.close()

    assert "Sessions through this gateway are recorded" in said
    assert "30 days" in said
    assert (0, 0) == (answer.returncode, renewed.returncode), answer.stdout + renewed.stdout
    assert [("team", "retain.commercial")] == [
        (one["plan"], one["retention"]["clause"]) for one in found
    ]
    assert "ivo@orchard.example" == first["email"]
    assert second["jwt"] != first["jwt"]
    assert second["idpRefreshToken"] != first["idpRefreshToken"]
    assert second["idpRefreshToken"].startswith("blr_")
    assert "idpRefreshToken" not in third
    assert [] == elsewhere.asked
    out = client.run("-p", "And now?")
    assert 0 != out.returncode
    assert "gn in" in out.stdout + out.stderr


@pytest.mark.row("O1")
def test_this_machines_own_sign_in(office: Office, tmp_path: Path) -> None:
    """`bailee login` once: `bailee code` works without a key, `bailee token` prints one that does,
    `bailee run` hands over a helper and no key; and `bailee logout` ends all of that.
    """
    environment = clean_environment(tmp_path, CI="1")
    project = tmp_path / "project"
    project.mkdir()

    def bailee(*arguments: str) -> subprocess.CompletedProcess[str]:
        return processes.run(*arguments, env=environment, folder=project, timeout=60)

    login = processes.start(
        "login", office.gateway, "--no-browser", env=environment, folder=project
    )
    assert login.stderr is not None
    shown = ""
    while "code: " not in shown:
        shown += login.stderr.readline()
    code = shown.rpartition("code: ")[2].strip()
    office.confirmed("ida", code)
    said, _ = login.communicate(timeout=60)
    token = bailee("token").stdout.strip()
    message(office.bailee.ready, "by a helper", token)
    (file,) = tmp_path.rglob("sign-in.json")
    held = json.loads(file.read_text())
    file.write_text(json.dumps({**held, "expires_at": time.time() + 60}))
    terms = Visitor(held["console"], x_api_key=token).get("/api/v1/key")
    another = bailee("token").stdout.strip()
    renewed = json.loads(file.read_text())
    worked = bailee("code", "-p", "hello")
    launched = bailee("run", "--dry-run", "--", "claude")
    mode = file.stat().st_mode & 0o777
    out = bailee("logout")
    refused = bailee("token")

    assert f"signed in at {office.gateway} as ida@orchard.example" in said
    assert "are recorded" in shown
    assert 0 == worked.returncode, worked.stderr
    assert (200, True) == (terms.status, '"plan":"team"' in terms.text.replace(" ", ""))
    assert "apiKeyHelper" in launched.stdout
    assert token[:14] == another[:14]
    assert renewed["expires_at"] > time.time() + 1800  # within one second the token is the same
    assert renewed["refresh"] != held["refresh"]
    assert another not in launched.stdout
    assert 0o600 == mode
    assert 0 == out.returncode
    assert 2 == refused.returncode
    assert "bailee login" in refused.stderr
    assert 401 == office.ask("/managed/settings", bearer=token).status


@pytest.mark.row("O1")
def test_a_machine_is_set_up_by_one_command(office: Office, tmp_path: Path) -> None:
    """Two settings are written beside what is there, and the client's form of the fingerprint is
    shown. What is no gateway's address, or no JSON, changes nothing.
    """
    environment = clean_environment(tmp_path)
    settings = tmp_path / ".claude" / "settings.json"
    settings.parent.mkdir()
    settings.write_text('{"model": "opus"}')

    done = processes.run("setup", "claude", office.gateway + "/", env=environment, timeout=60)
    written = json.loads(settings.read_text())
    wrong = processes.run("setup", "claude", "http://corp.test", env=environment, timeout=60)
    settings.write_text("{")
    torn = processes.run("setup", "claude", office.gateway, env=environment, timeout=60)

    assert 0 == done.returncode, done.stderr
    assert "fingerprint: http-loopback" in done.stdout
    assert {
        "model": "opus",
        "forceLoginMethod": "gateway",
        "forceLoginGatewayUrl": office.gateway,
    } == written
    assert (2, 2) == (wrong.returncode, torn.returncode)
    assert "{" == settings.read_text()


@pytest.mark.row("O1", "G2")
def test_what_a_client_sends_beside_its_prompts_reaches_no_upstream(office: Office) -> None:
    """Its telemetry, at the one address that it knows, is the ingest's; what else it asks there is
    answered here. A token that is none is told so in the way that ends its attempts.
    """
    token = office.signed_in("ian")["access_token"]
    seen = len(office.upstream.requests)
    point = {"asInt": "1", "timeUnixNano": "1"}
    metric = {"name": "bailee.command.count", "sum": {"dataPoints": [point]}}
    body = json.dumps({"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]}).encode()

    taken = [
        office.ask(f"/v1/{name}", body=b"{}", bearer=token, content_type="application/json")
        for name in ("logs", "traces")
    ]
    taken.append(
        office.ask("/v1/metrics", body=body, bearer=token, content_type="application/json")
    )
    nobody = office.ask("/v1/metrics", body=b"{}", content_type="application/json")
    settings = office.ask("/managed/settings", bearer=token)
    usage = office.ask("/api/oauth/usage", bearer=token)
    desktop = office.ask("/user/bootstrap", bearer=token)
    hosts = office.ask("/gateway-api/gateway-hosts/check?host=x")
    wrong = office.ask("/v1/messages", body=b"{}", bearer=token[:-1])

    assert [200] * 3 == [one.status for one in taken]
    assert "rejectedDataPoints" in json.dumps(taken[-1].body)  # the registry looked at it
    assert 401 == nobody.status
    assert [200, 200, 404, 404] == [one.status for one in (settings, usage, desktop, hosts)]
    assert "1" == settings.body["settings"]["env"]["CLAUDE_CODE_ENABLE_TELEMETRY"]
    assert "extra_usage" in usage.body
    assert (401, "false") == (wrong.status, wrong.headers["x-should-retry"])
    assert seen == len(office.upstream.requests)


@pytest.mark.row("O1")
def test_whose_terms_a_client_works_on_is_chosen_and_who_ends_it(office: Office) -> None:
    """Somebody with an account of their own, who was taken into the organisation: nothing is chosen
    for them; a form of another site's is not taken, whatever it says of its origin; and `sign me
    out everywhere` ends client and browser at once.
    """
    visitor = office.visitor()
    visitor.submit(
        "/sign-up", "/sign-up",
        {"email": "bob@x.example", "password": PASSWORD, "plan": "pro", "choice": "allowed"},
    )  # fmt: skip
    office.bailee.json("organisation", "member", "add", office.organisation, "bob@x.example")
    begun = office.begin()
    code = begun["user_code"]
    page = visitor.get(f"/device?user_code={code}").text
    unsaid = confirm(visitor, code)
    visitor.headers |= {"Sec-Fetch-Site": "cross-site", "Origin": "null"}
    foreign = confirm(visitor, code, place="own")
    visitor.headers["Sec-Fetch-Site"] = "same-origin"
    done = confirm(visitor, code, place="own")
    visitor.headers.clear()
    given = office.claim(begun["device_code"]).body
    message(office.bailee.ready, "mine", given["access_token"])
    listed = office.bailee.json("person", "sign-ins", "bob@x.example")
    visitor.submit("/settings/account", "/settings/account/clients/end", {"everything": "yes"})
    after = office.renew(given["refresh_token"])

    assert 2 == page.count('type="radio" name="place"')
    assert "checked" not in page
    assert "signed in. You can" not in unsaid + foreign
    assert "The client is signed in" in done
    assert [("pro", False)] == [(one["terms"]["plan"], one["by_provider"]) for one in listed]
    assert (400, "invalid_grant") == (after.status, after.body["error"])
    assert 401 == office.ask("/managed/settings", bearer=given["access_token"]).status
    assert 401 == visitor.get("/settings/account").status


def test_a_client_that_was_denied_gets_nothing(office: Office) -> None:
    """Nor does whoever has no session: the page asks them to sign in, and says no more."""
    begun = office.begin()
    code = begun["user_code"]
    stranger = office.visitor().get(f"/device?user_code={code}")
    visitor = office.engineer("ian", code)
    page = f"/device?user_code={code}"
    denied = visitor.submit(page, "/device", {"user_code": code, "do": "deny"}).text
    answered = office.claim(begun["device_code"])

    assert "Sign in first" in stranger.text
    assert "Begun" not in stranger.text
    assert "not signed in" in denied
    assert (400, "access_denied") == (answered.status, answered.body["error"])


def test_no_token_is_in_any_file_of_the_home(office: Office) -> None:
    """Neither a client's, nor the provider's, which stays here, sealed."""
    given = office.signed_in("ian")
    tokens = [given["access_token"][14:], given["refresh_token"][15:]]
    assert [] == office.bailee.holds(*(one.encode() for one in tokens))


RULES = """
scope = "groups"

[[rule]]
group = "eng"
team = "engineers"

[[rule]]
group = "leads"
role = "admin"
"""


@pytest.mark.row("O2")
def test_of_several_limits_the_one_that_holds_longest_refuses(
    office: Office, tmp_path: Path
) -> None:
    """A team's pool, its organisation's amount and the member's own are asked together, and the
    client is told of one in its own shape: a pool as the group's, and in nobody's own usage.
    """
    bailee, organisation = office.bailee, office.organisation
    # A team of its own: what it uses here counts for the day, whose limits others set.
    (tmp_path / "rules.toml").write_text(RULES.replace("engineers", "growers"))
    groups, team = ("organisation", "groups", "set", organisation), f"{organisation}/growers"
    scope = "anthropic-ratelimit-unified-overage-scope"
    limits: list[str] = []

    def limit(amount: str, per: str, *of: str) -> None:
        done = bailee.json("limits", "set", *of, "--money", amount, "--per", per)
        limits.append(done["id"])

    def ask(bearer: str) -> tuple[int, str | None, str]:
        body = {"model": "n", "max_tokens": 9, "messages": [{"role": "user", "content": "pears"}]}
        found = office.ask(
            "/v1/messages", bearer=bearer, body=json.dumps(body).encode(),
            content_type="application/json",
        )  # fmt: skip
        told = found.body["error"]["message"] if found.status == 429 else ""
        return found.status, {**found.headers}.get(scope), told

    try:
        bailee.json(*groups, str(tmp_path / "rules.toml"))
        office.groups.write_text(json.dumps({"ian": ["eng"]}))
        bearer = office.signed_in("ian")["access_token"]
        limit("0", "month", "--of", team, "--pool")
        limit("50", "day", "--of", organisation, "--each")
        own = office.ask("/api/oauth/usage", bearer=bearer).body["limits"]
        limit("0", "day", "--of", organisation)
        by_pool = ask(bearer)
        limit("0", "month", "--of", team, "--pool", "--paused")
        limits.pop(0)  # the one that is paused is in its place
        by_organisation = ask(bearer)
        bailee.run("limits", "remove", limits.pop(1))
        goes_on = ask(bearer)
    finally:
        for one in limits:
            bailee.run("limits", "remove", one)
        (tmp_path / "rules.toml").write_text("")
        bailee.json(*groups, str(tmp_path / "rules.toml"))

    assert (429, "group_pool") == by_pool[:2]
    assert "This request exceeds your group's budget." in by_pool[2]
    assert [0] == [one["percent"] for one in own]  # of what is theirs: $50 a day
    assert (429, None) == by_organisation[:2]
    assert "spend limit reached" in by_organisation[2]
    assert 200 == goes_on[0]


@pytest.mark.row("O1", "O2")
def test_a_group_gives_a_team_with_its_models_and_whoever_leaves_it_is_out(
    office: Office, tmp_path: Path
) -> None:
    """Set, tried and shown at the terminal; held at the gateway; counted by team."""
    bailee, organisation = office.bailee, office.organisation
    (tmp_path / "rules.toml").write_text(RULES)
    groups = ("organisation", "groups")
    team = f"{organisation}/engineers"

    before = bailee.run(
        *groups, "try", organisation, "--rules", str(tmp_path / "rules.toml"), "--group", "cooks"
    )
    bailee.json(*groups, "set", organisation, str(tmp_path / "rules.toml"))
    try:
        bailee.json("limits", "allow", team, "n", "o")
        bailee.json("limits", "set", "--of", team, "--requests", "1", "--per", "day")
        tried = bailee.json(*groups, "try", organisation, "--group", "eng", "--group", "leads")
        office.groups.write_text(json.dumps({"ian": ["eng"]}))
        given = office.signed_in("ian")
        settings = office.ask("/managed/settings", bearer=given["access_token"]).body["settings"]
        asks = {"max_tokens": 9, "messages": [{"role": "user", "content": "pears"}]}
        found = [
            office.ask(
                "/v1/messages", bearer=given["access_token"],
                body=json.dumps({**asks, "model": model}).encode(), content_type="application/json",
            ).status
            for model in ("m", "n", "n")
        ]  # fmt: skip
        used = bailee.json("usage", "--by", "team", "--of", team)["rows"]
        shown = bailee.json(*groups, "show", organisation)
        office.groups.write_text(json.dumps({"ian": ["cooks"]}))
        out = office.renew(given["refresh_token"])
        after = office.ask("/managed/settings", bearer=given["access_token"])
        gone = bailee.json(*groups, "show", organisation)["given"]
    finally:
        (tmp_path / "rules.toml").write_text("")
        bailee.json(*groups, "set", organisation, str(tmp_path / "rules.toml"))

    assert "no rule gives them anything" in before.stdout
    (place,) = tried["places"]
    assert ("admin", "engineers", [["n", "o"]]) == (place["role"], place["team"], place["models"])
    assert [f"team:{team}:requests:day"] == place["limits"]
    assert ["n", "o"] == settings["availableModels"]
    assert [403, 200, 429] == found
    assert [team] == [one["group"]["team"] for one in used]
    assert [("member", "engineers")] == [(one["role"], one["team"]) for one in shown["given"]]
    assert (400, "invalid_grant") == (out.status, out.body["error"])
    assert 401 == after.status
    assert [] == gone


@pytest.mark.row("O1")
def test_a_job_signs_in_by_its_ci_providers_token(office: Office, tmp_path: Path) -> None:
    """`bailee login --workload` and `bailee token`: the gateway takes it, and is closed at once
    when the service account is removed.
    """
    bailee, audience = office.bailee, "https://gateway.orchard.example"
    ci = Ci()
    try:
        made = bailee.json(
            "organisation", "service-account", "add", office.organisation, "tests",
            "--issuer", ci.issuer, "--audience", audience, "--claim", "repository=orchard/app",
        )  # fmt: skip
        now = int(time.time())
        claims = {
            "iss": ci.issuer, "aud": audience, "sub": "repo:orchard/app:ref:refs/heads/main",
            "repository": "orchard/app", "iat": now, "exp": now + 300,
        }  # fmt: skip
        header = {"alg": "RS256", "kid": "one"}
        environment = clean_environment(tmp_path)

        def signs_in(**changes: str) -> subprocess.CompletedProcess[str]:
            return processes.run(
                "login", office.gateway, "--workload", made["id"],
                env={
                    **environment,
                    "BAILEE_WORKLOAD_TOKEN": jwt.encode(header, {**claims, **changes}, OURS),
                },
            )  # fmt: skip

        stranger = signs_in(repository="evil/app")
        done = signs_in()
        token = processes.run("token", env=environment).stdout.strip()
        message(bailee.ready, "hello", token)
        listed = bailee.json("organisation", "service-account", "list", office.organisation)
        bailee.run("organisation", "service-account", "remove", made["id"])
        after = office.ask("/managed/settings", bearer=token)
    finally:
        ci.close()

    assert 0 != stranger.returncode
    assert "another machine" in stranger.stderr
    assert (0, "") == (done.returncode, done.stderr)
    assert [made["id"]] == [one["id"] for one in listed]
    assert 401 == after.status
