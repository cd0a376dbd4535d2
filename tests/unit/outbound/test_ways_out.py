"""Where connections are opened and proxies' settings are read: a list, and nowhere else."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from support.sources import parsed

pytestmark = pytest.mark.row("C3", "D2", "S7")

SOURCE = Path(__file__).parents[3] / "src" / "bailee"
OPENS = {
    *("open_connection", "open_unix_connection", "create_connection", "create_unix_connection"),
    *("HTTPConnection", "HTTPSConnection", "urlopen", "getaddrinfo", "create_datagram_endpoint"),
    *("sock_connect", "connect_ex", "AsyncClient", "Client", "SMTP", "getproxies"),
}
READS = {"HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"}
MAY = {
    # The way out, and the one reader of the settings.
    "outbound/dialing.py": {"open_connection", "create_connection", "getaddrinfo"},
    "outbound/network.py": {"AsyncClient", "Client", *READS},
    "outbound/proxies.py": READS,
    "outbound/straight.py": {"open_connection"},
    "outbound/streams.py": {"create_connection"},
}
# To an upstream: in a pool of its own, with its proxy and TLS from `outbound`.
GATEWAY = {
    "gateway/upstream.py": {"create_connection"},
    "gateway/tunnel.py": {"create_connection"},
    "gateway/way_out.py": READS - {"HTTP_PROXY"},
}
# Annotations of what `Network` made, and names that are handed to a program.
NO_WAYS = {
    "agent/clouds.py": {"AsyncClient"},
    "agent/messages_api.py": {"AsyncClient"},
    "app/to_holder.py": {"AsyncClient"},
    "cli/elsewhere.py": {"Client"},
    "agent/sandbox.py": {"NO_PROXY"},
    "agent/variables.py": READS,
    "client/egress.py": READS,
    "cloud/sessions/task.py": READS - {"ALL_PROXY"},
}
# A gateway's certificate, which a person compares with what their client shows of it; and what is
# shown under a public name, where no proxy is on the way.
COMPARED = {"cli/setup.py": {"getaddrinfo"}, "app/doctor.py": {"create_connection"}}
# Between the machines of a cluster, by TLS on both sides; no proxy stands there.
CLUSTER = {"training/reaching.py": {"create_connection", "getaddrinfo"}}
# A collector of the operator's own, by its address: syslog knows no proxy.
SYSLOG = {"auditing/syslog.py": {"create_connection"}}
# This machine's own: the gateway's socket, an emulator's, a runner's, what is listened on.
HERE = {
    "app/cloud_serving.py": {"open_unix_connection"},
    "app/demo.py": {"HTTPConnection"},
    "cloud/machine/monitor.py": {"open_connection"},
    "cloud/runners/runner.py": {"open_unix_connection"},
    "gateway/listening.py": {"getaddrinfo"},
}
LISTED = MAY | GATEWAY | NO_WAYS | COMPARED | CLUSTER | SYSLOG | HERE


def ways(path: Path) -> set[str]:
    """What a module opens, and which settings of proxies it names."""
    found = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Attribute) and node.attr in OPENS:
            found.add(node.attr)
        elif isinstance(node, ast.ImportFrom) and node.module == "bailee.outbound.streams":
            found |= OPENS & {name.name for name in node.names}
        elif isinstance(node, ast.Constant) and str(node.value).upper() in READS:
            found.add(str(node.value).upper())
    return found


def test_no_other_module_opens_a_way_out() -> None:
    """What is not listed goes by `outbound`, under its rules and its proxies."""
    found = {
        name: more
        for path in sorted(SOURCE.rglob("*.py"))
        if (more := ways(path) - LISTED.get(name := str(path.relative_to(SOURCE)), set()))
    }

    assert {} == found


def test_the_list_has_nothing_that_is_not_there() -> None:
    """A way that was closed is taken off the list."""
    assert LISTED == {name: ways(SOURCE / name) for name in LISTED}
