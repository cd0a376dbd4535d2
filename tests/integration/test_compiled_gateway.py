"""The gateway's compiled build does what its source does. It is built here once, as this machine's
wheel.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import compiled
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import bailee.testing.played as source
from bailee.testing.upstream import ScriptedUpstream, Text
from support.clients.programs import clean_environment, message

ROOT = Path(__file__).parents[2]
SECONDS = 600
# What tells most in little time: each decision of what is pure, and each way that a value takes
# through all of it on real sockets.
SUITES = (
    "tests/unit/gateway/test_client.py",
    "tests/unit/gateway/test_client_course.py",
    "tests/unit/gateway/test_completion.py",
    "tests/unit/gateway/test_completion_events.py",
    "tests/unit/gateway/test_exchange.py",
    "tests/unit/gateway/test_http1.py",
    "tests/unit/gateway/test_recording.py",
    "tests/unit/gateway/test_routes.py",
    "tests/contract/test_recording_spool.py",
    "tests/integration/gateway/test_durability.py",
    "tests/integration/gateway/test_once.py",
    "tests/integration/gateway/test_other_apis.py",
    "tests/integration/gateway/test_zero_retention.py",
)
# It puts another function in the place of a module's, which a compiled module does not look up.
LEFT_OUT = "tests/contract/test_recording_spool.py::test_a_defect_does_not_leave_clients_waiting"


@pytest.fixture(scope="module")
def built() -> compiled.Build:
    """The wheel, and what is in it."""
    if shutil.which("cc") is None:
        pytest.skip("no C compiler, to compile the gateway with")
    return compiled.kept(quick=True)


@pytest.fixture(scope="module")
def library(built: compiled.Build) -> Iterator[ModuleType]:
    """`bailee.testing.played` of the compiled build, beside that of the source in this process."""

    def ours() -> dict[str, ModuleType]:
        return {
            name: module for name, module in sys.modules.items() if name.split(".")[0] == "bailee"
        }

    of_source = ours()
    for name in of_source:
        del sys.modules[name]
    sys.path.insert(0, str(built.package))
    try:
        played = importlib.import_module("bailee.testing.played")
        assert importlib.import_module("bailee.compiled").is_compiled()
    finally:
        sys.path.remove(str(built.package))
        for name in ours():
            del sys.modules[name]
        sys.modules.update(of_source)
    yield played


def test_every_module_that_is_said_to_be_is_compiled(built: compiled.Build) -> None:
    """Each has its library beside its source; an editable installation has none."""
    folder = built.package / "bailee"

    libraries = {path.name.partition(".")[0] for path in folder.rglob("*.so")}

    assert libraries == {Path(module).stem for module in compiled.MODULES}
    assert all((folder / module).exists() for module in compiled.MODULES)
    assert [] == list((ROOT / "src").rglob("*.so"))


@pytest.mark.parametrize(
    ("environment", "says"),
    [({}, "bailee 0.1.0, gateway compiled\n"), ({"BAILEE_COMPILED": "off"}, "bailee 0.1.0\n")],
)
def test_the_version_says_which_is_used(
    built: compiled.Build, environment: dict[str, str], says: str
) -> None:
    """And the variable has the source used, which is as it is said."""
    environment = {**os.environ, "PYTHONPATH": str(built.package), **environment}

    def run(*arguments: str) -> str:
        return subprocess.run(
            [sys.executable, *arguments],
            env=environment, capture_output=True, text=True, check=True, timeout=SECONDS,
        ).stdout  # fmt: skip

    assert says == run("-m", "bailee", "--version")
    used = "import bailee.gateway.server as one, bailee.gateway.http1.heads as two;"
    files = run("-c", f"{used} print(one.__file__, two.__file__)").split()
    assert {"compiled" in says} == {file.endswith(".so") for file in files}
    assert all(file.startswith(str(built.package)) for file in files)


def test_the_gateways_suites_pass_on_it(built: compiled.Build) -> None:
    """Those that tell most, in a process of their own, on the libraries."""
    environment = {**os.environ, "PYTHONPATH": str(built.package)}
    for name in [name for name in environment if name.startswith("PYTEST_")]:
        del environment[name]

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-n", "0", "-q", "-x", "-p", "no:cacheprovider",
         "--deselect", LEFT_OUT, *SUITES],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=SECONDS,
    )  # fmt: skip

    assert 0 == done.returncode, done.stdout[-6000:]


def test_its_wheel_installs_and_serves(built: compiled.Build, tmp_path: Path) -> None:
    """Into a virtual environment with nothing else of ours; `bailee up` starts and answers."""
    venv, uv = tmp_path / "venv", [sys.executable, "-m", "uv"]
    subprocess.run([*uv, "venv", "-q", "--python", sys.executable, venv], check=True)
    install = [*uv, "pip", "install", "-q", "--python", venv, f"bailee[server] @ {built.wheel}"]
    if subprocess.run(install, check=False, timeout=SECONDS).returncode:
        pytest.skip("no network, to install what the server needs")
    program, environment = venv / "bin" / "bailee", clean_environment(tmp_path)
    listens = [f"--{one}=127.0.0.1:0" for one in ("gateway", "console", "ingest")]
    with ScriptedUpstream(tools_only=False) as upstream:
        upstream.then(Text("Good day."))
        server = subprocess.Popen(
            [program, "up", "--json", "--upstream", upstream.url, *listens],
            env={**environment, "BAILEE_HOME": str(tmp_path / "home")},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            assert server.stdout is not None and server.stderr is not None
            line = server.stdout.readline()
            assert line, server.stderr.read()
            said = message(json.loads(line), "Hello")
        finally:
            server.terminate()
            _, errors = server.communicate(timeout=SECONDS)

    assert ("Good day.", 0, "") == (said["content"][0]["text"], server.returncode, errors)
    says = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    assert "bailee 0.1.0, gateway compiled\n" == says.stdout


# -- the two, side by side ------------------------------------------------------------------------

_LINES = (
    "POST /v1/messages?beta=true HTTP/1.1", "POST /v1/messages HTTP/1.1",
    "POST /v1/messages HTTP/1.0", "GET /v1/models HTTP/1.1", "HEAD /v1/models HTTP/1.1",
    "POST /v1/chat/completions HTTP/1.1", "OPTIONS / HTTP/1.1", "GET /healthz HTTP/1.1",
    "POST http://here/v1/messages HTTP/1.1", "POST /elsewhere HTTP/1.1",
)  # fmt: skip
_FIELDS = (
    "content-type: application/json", "Connection: close", "connection: keep-alive, x-dropped",
    "X-Dropped: 1", "Expect: 100-continue", "x-claude-code-session-id: one",
    "user-agent: claude-cli/2", "a:\t\xe9 ", "anthropic-beta: b",
)  # fmt: skip
_ODD = (
    "host: there:1", "X-API-Key: bl_other", "authorization: Bearer bl_played",
    "x-bailee-key: bl_played", "Transfer-Encoding: chunked", "Content-Length: 5",
    "content-length: 999999999999999999999", "x-http-method-override: GET", "Upgrade: websocket",
    "a : b", " folded", "",
)  # fmt: skip
_USAGE = '"usage":{"input_tokens":10,"output_tokens":3}'
_EVENTS = (
    'event: message_start\ndata: {"type":"message_start","message":{"model":"m",'
    + _USAGE + "}}\n\n",
    'event: content_block_delta\ndata: {"type":"content_block_delta","delta":{"text":"a"}}\n\n',
    'data: {"type":"content_block_delta","delta":{"text":"message_stop"}}\r\n\r\n',
    'event: message_delta\ndata: {"type":"message_delta",' + _USAGE + "}\n\n",
    'event: message_stop\ndata: {"type":"message_stop"}\n\n',
    ": ping\n\n", "data: [DONE]\n\n", "x" * 5000,
)  # fmt: skip
_STATUSES = (
    "200 OK", "200 OK", "200", "204 No Content", "304 Not", "302 Found", "429 Many", "100 Go",
)  # fmt: skip
_ANSWERED = (
    "content-type: text/event-stream", "content-type: application/json", "Connection: close",
    "Keep-Alive: timeout=5", "set-cookie: a=b", "request-id: r", "anthropic-ratelimit-tokens: 3",
    "x-accel-redirect: /",
)  # fmt: skip
_ANSWERED_ODDLY = ("content-encoding: gzip", "content-length: 3", "a : b", "")


@st.composite
def _message(
    draw: st.DrawFn, lines: tuple[str, ...], fields: tuple[str, ...], odd: tuple[str, ...]
) -> bytes:
    """A request or an answer, mostly a good one, by its length or in chunks."""
    rare = st.integers(0, 9).map(lambda drawn: drawn == 9)
    ends = "\n" if draw(rare) and draw(rare) else "\r\n"
    pieces = [one.encode() for one in draw(st.lists(st.sampled_from(_EVENTS), max_size=8))]
    chosen = draw(st.lists(st.sampled_from(fields), max_size=4, unique=True))
    if draw(rare):
        chosen.append(draw(st.sampled_from(odd)))
    body, how = b"".join(pieces), draw(st.integers(0, 9))
    if how < 5:
        chosen.append(f"Content-Length: {len(body)}")
    elif how < 9:
        chosen.append("Transfer-Encoding: chunked")
        body = b"".join(b"%x\r\n%b\r\n" % (len(one), one) for one in pieces) + b"0\r\n\r\n"
    head = ends.join([draw(st.sampled_from(lines)), *chosen, "", ""])
    return head.encode("latin-1") + body


@st.composite
def _in_pieces(draw: st.DrawFn, message: st.SearchStrategy[bytes]) -> list[bytes]:
    """As reads of a connection: cut anywhere, and now and then with a byte that is another."""
    whole = bytearray(draw(message))
    if draw(st.integers(0, 7)) == 7:
        whole[draw(st.integers(0, len(whole) - 1))] = draw(st.sampled_from(b"\r\n\0 :;,0fx\xff"))
    cuts = sorted(draw(st.lists(st.integers(0, len(whole)), max_size=6)))
    edges = [0, *cuts, len(whole)]
    return [bytes(whole[a:b]) for a, b in pairwise(edges) if b > a]


_KEYED = tuple(f"{line}\r\nHost: here\r\nx-api-key: bl_played" for line in _LINES)
_ASKED = _in_pieces(_message((*_KEYED, *_KEYED[:2] * 8, *_LINES), _FIELDS, _ODD))
_ANSWER = _in_pieces(
    _message(tuple(f"HTTP/1.1 {one}" for one in _STATUSES), _ANSWERED, _ANSWERED_ODDLY)
)
_GOOD = [
    b"POST /v1/messages HTTP/1.1\r\nHost: a\r\nx-api-key: bl_played\r\nContent-Length: 2\r\n\r\n{}"
]


@settings(max_examples=400, deadline=None)
@given(_ASKED, _ANSWER, *[st.booleans()] * 4)
@example(_GOOD, [b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n", b"ok"], True, True, False, False)
def test_it_does_what_the_source_does(
    library: ModuleType,
    asked: list[bytes],
    answered: list[bytes],
    kept: bool,
    late: bool,
    client_goes: bool,
    upstream_goes: bool,
) -> None:
    """Whatever a client and an upstream send, in whatever pieces: both say the same to each side,
    and have the same records and summaries.
    """

    def outcome(play: Callable[..., Any]) -> object:
        ways = {"late": late, "client_goes": client_goes, "upstream_goes": upstream_goes}
        try:
            return vars(play(asked, answered, kept=kept, **ways))
        except Exception as error:
            return type(error).__name__

    assert outcome(source.play) == outcome(library.play)
