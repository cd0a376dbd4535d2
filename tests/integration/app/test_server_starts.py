"""What a server has imported by the time it is ready: memory and processor time of each start."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from support.clients.programs import clean_environment

_PROGRAM = """
import sys, threading
def tell():
    sys.stdin.readline()
    print(*sys.modules, file=sys.stderr, flush=True)
threading.Thread(target=tell, daemon=True).start()
from bailee.__main__ import main
main()
"""
_LATER = {
    "alembic", "anthropic", "authlib", "bailee.agent", "bailee.scim.service", "botocore",
    "dbos", "detect_secrets", "google.auth", "httpx", "httpx2", "jinja2", "mcp", "numpy",
    "opentelemetry", "pandas", "prometheus_client", "psycopg", "pyarrow", "pydantic", "rich",
    "scim2_models", "sentry_sdk", "webauthn",
}  # fmt: skip
"""What only some homes use, or who asks for it: a page, a scrape, a report, a provider."""
_MOST = {"of the project": 777, "in all": 1417}
"""Each costs about a millisecond. Who needs one more looks first for one that can wait."""


def _started(home: Path) -> set[str]:
    """What a server of a home has imported when it says that it is ready."""
    anywhere = [f"--{one}=127.0.0.1:0" for one in ("gateway", "console", "ingest")]
    anywhere.append("--upstream=http://127.0.0.1:9")
    with subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, "up", "--json", *anywhere],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=clean_environment(home, BAILEE_HOME=str(home / "home")),
    ) as server:  # fmt: skip
        assert server.stdin is not None and server.stdout is not None and server.stderr is not None
        ready = server.stdout.readline()
        server.stdin.write("\n")
        server.stdin.flush()
        imported = server.stderr.readline()
        server.terminate()
        _, errors = server.communicate()
    assert ready, imported + errors
    return set(imported.split())


def test_a_server_is_ready_before_what_it_may_never_need_is_imported(tmp_path: Path) -> None:
    """Of a new home, and of one that is there."""
    for _ in ("new", "again"):
        imported = _started(tmp_path)
        assert imported & _LATER == set()
        own = {one for one in imported if one.partition(".")[0] == "bailee"}
        assert len(own) <= _MOST["of the project"]
        assert len(imported) <= _MOST["in all"]
