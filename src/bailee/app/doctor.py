"""Whether a machine is fit to serve a home, and what its server needs is there: `bailee doctor
--service`. It changes nothing, whether a server runs or not; only modes of the home that let others
in are mended, as by every command, and a server is asked to put its sums of sessions right.

Rules kept here:

* Each check is tried by itself: what one meets, also a defect, is its own finding, and the others
  go on. Everything that is asked has a time-out, and nobody's number of names is without a bound.
* What is asked outside gets a request without a credential: an upstream, a provider's metadata, the
  health of a public name.
* A finding says what is so, and what is not well also what to do.

Rows: O5.
"""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import orjson

from bailee import config
from bailee.admission import raise_limit, share_out
from bailee.admission.disk import floor
from bailee.agent.sandbox import SandboxTrial
from bailee.app import doctor_beside, doctor_storage
from bailee.app.certificate import ends_at
from bailee.app.disk import room_on
from bailee.app.doctor_findings import ExaminedHome, Fitness, MachineFinding
from bailee.app.to_holder import SETTING as HOLDER
from bailee.app.upstreams import further_upstreams, upstreams
from bailee.clock import system_clock
from bailee.cloud.image import store
from bailee.cloud.machine.command_line import KVM, PROGRAM
from bailee.errors import BaileeError
from bailee.gateway.settings import Upstream
from bailee.gateway.tls import server_context
from bailee.home.reserve import size_on
from bailee.json_values import members
from bailee.loopback import is_loopback
from bailee.outbound.network import Network, NoAnswer
from bailee.policy import load

MOST_NAMES: Final = 50
_SECONDS: Final = 5.0
_SOON: Final = timedelta(days=14)
_CLOCK: Final = timedelta(seconds=10)
_LEAST_MEMORY: Final = 1 << 30
_LISTENERS: Final = ("gateway", "console", "ingest")
_OF_A_HOME: Final = frozenset(
    {"home", "disk", "keyring", "objects", "spool", "server", "policy", "sums", "provider"}
    | {"sandbox", "machines"}
)
"""Checks that say nothing of a gateway of its own."""


def examine(it: ExaminedHome) -> Iterator[MachineFinding]:
    """Each finding, as soon as there is one."""
    checks: Mapping[str, Callable[[ExaminedHome], Iterator[MachineFinding]]] = {
        "gateway": doctor_beside.gateway,
        "holder": _holder,
        "home": _home,
        "disk": _disk,
        "machine": _machine,
        "descriptors": _descriptors,
        "clock": _clock,
        "keyring": doctor_storage.keyring,
        "databases": doctor_storage.databases_there,
        "objects": doctor_storage.objects_there,
        "spool": doctor_storage.spool,
        "members": doctor_storage.members,
        "server": _server,
        "policy": _policy,
        "sums": _sums,
        "listeners": _listeners,
        "certificate": _certificate,
        "public_name": _public_names,
        "upstream": _upstreams,
        "provider": _providers,
        "sandbox": _sandbox,
        "machines": _machines,
    }
    for name, check in checks.items():
        if name in _OF_A_HOME and doctor_beside.is_gateways(it):
            continue
        try:
            yield from check(it)
        except BaileeError as error:
            yield MachineFinding(name, Fitness.WRONG, "error", error=error)
        except Exception as error:  # a defect here says nothing of the others
            yield MachineFinding(
                name, Fitness.UNKNOWN, "defect", values={"why": type(error).__name__}
            )


# -- this machine ----------------------------------------------------------------------------------


def _home(it: ExaminedHome) -> Iterator[MachineFinding]:
    it.home.check()
    if it.home.exists:
        yield MachineFinding("home", Fitness.WELL, "home_there", values={"path": it.home.path})
    else:
        yield MachineFinding("home", Fitness.WELL, "home_new", values={"path": it.home.path})


def _disk(it: ExaminedHome) -> Iterator[MachineFinding]:
    folder = it.home.path
    while not folder.exists():
        folder = folder.parent
    free, size = room_on(folder)
    space = os.statvfs(folder)
    values = {"free": free >> 20, "path": it.home.path}
    kept = floor(it.settings.number("gateway.free_mb") << 20, size)
    if free < max(size_on(size), 64 << 20):
        yield MachineFinding("disk", Fitness.WRONG, "disk_full", "disk_room", values)
    elif free < 2 * kept:
        yield MachineFinding("disk", Fitness.DOUBT, "disk_low", "disk_room", values)
    elif space.f_files and space.f_favail < 10_000:
        yield MachineFinding("disk", Fitness.DOUBT, "disk_files", "disk_room", values)
    else:
        yield MachineFinding("disk", Fitness.WELL, "disk_free", values=values)


def _machine(_: ExaminedHome) -> Iterator[MachineFinding]:
    cores = len(os.sched_getaffinity(0))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    values = {"cores": cores, "memory": memory >> 20}
    if memory < _LEAST_MEMORY:
        yield MachineFinding("machine", Fitness.DOUBT, "machine_is", "machine_memory", values)
    elif cores < 2:
        yield MachineFinding("machine", Fitness.DOUBT, "machine_is", "machine_cores", values)
    else:
        yield MachineFinding("machine", Fitness.WELL, "machine_is", values=values)


def _descriptors(_: ExaminedHome) -> Iterator[MachineFinding]:
    shares = share_out(raise_limit())
    values = {"limit": shares.limit, "connections": shares.gateway}
    yield MachineFinding("descriptors", Fitness.WELL, "descriptors_are", values=values)


def _clock(_: ExaminedHome) -> Iterator[MachineFinding]:
    said = _answer("timedatectl", "show", "--property=NTPSynchronized", "--value")
    if said == "yes":
        yield MachineFinding("clock", Fitness.WELL, "clock_kept")
    elif said == "no":
        yield MachineFinding("clock", Fitness.DOUBT, "clock_alone", "clock_keep")
    else:
        yield MachineFinding("clock", Fitness.UNKNOWN, "clock_unknown", "clock_keep")


def _sandbox(_: ExaminedHome) -> Iterator[MachineFinding]:
    why = SandboxTrial(()).failure()
    if why is None:
        yield MachineFinding("sandbox", Fitness.WELL, "sandbox_works")
    else:
        yield MachineFinding("sandbox", Fitness.DOUBT, f"sandbox_{why}", "sandbox_mend")


def _machines(it: ExaminedHome) -> Iterator[MachineFinding]:
    version = _answer(PROGRAM, "--version").partition("\n")[0]
    if not version:
        yield MachineFinding("machines", Fitness.DOUBT, "qemu_missing", "qemu_install")
        return
    if not os.access(KVM, os.R_OK | os.W_OK):
        why = "kvm_closed" if KVM.exists() else "kvm_missing"
        yield MachineFinding("machines", Fitness.DOUBT, why, f"{why}_mend")
    else:
        yield MachineFinding("machines", Fitness.WELL, "qemu_there", values={"version": version})
    if not store.every(store.default_folder(it.environment)):
        yield MachineFinding("machines", Fitness.DOUBT, "image_missing", "image_build")


def _answer(*command: str) -> str:
    """What a program of this machine prints; nothing where it can't be run, or not in time."""
    program = shutil.which(command[0])
    if program is None:
        return ""
    try:
        ran = subprocess.run(  # noqa: S603
            [program, *command[1:]], capture_output=True, timeout=_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return ran.stdout.decode("utf-8", "replace").strip()


# -- the home and its server -----------------------------------------------------------------------


def _server(it: ExaminedHome) -> Iterator[MachineFinding]:
    if not it.home.control_socket.exists():
        yield MachineFinding("server", Fitness.UNKNOWN, "server_none")
        return
    at = it.settings.text("health.listen")
    if at == "off" or at is None:
        yield MachineFinding("server", Fitness.UNKNOWN, "server_off")
        return
    host, port = config.parse_address(at, "health.listen")
    try:
        answer = Network().ask("GET", f"http://{_reached(host)}:{port}/readyz", seconds=_SECONDS)
    except NoAnswer:
        yield MachineFinding("server", Fitness.WRONG, "server_silent", "server_look", {"at": at})
        return
    if answer.status == 200:
        yield MachineFinding("server", Fitness.WELL, "server_ready", values={"at": at})
    else:
        why = ", ".join(map(str, _reasons(answer.content))) or str(answer.status)
        yield MachineFinding("server", Fitness.WRONG, "server_unready", "server_look", {"why": why})


def _policy(it: ExaminedHome) -> Iterator[MachineFinding]:
    if it.closed is None:
        return
    for setting, by in it.closed[:MOST_NAMES]:
        told = {"setting": setting, "by": by}
        yield MachineFinding("policy", Fitness.DOUBT, "policy_closes", "policy_take_out", told)
    if not it.closed:
        yield MachineFinding("policy", Fitness.WELL, "policy_agrees")


def _sums(it: ExaminedHome) -> Iterator[MachineFinding]:
    if it.summed is True:
        yield MachineFinding("sums", Fitness.WELL, "sums_right")
    elif it.summed is False:
        yield MachineFinding("sums", Fitness.DOUBT, "sums_anew", "sums_verify")


def _reasons(body: bytes) -> Sequence[object]:
    try:
        found = members(orjson.loads(body)).get("reasons", ())
    except ValueError:
        return ()
    return found if isinstance(found, list) else ()


def _reached(host: str) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"[{host}]" if ":" in host else host


def _listeners(it: ExaminedHome) -> Iterator[MachineFinding]:
    tls = it.settings.text("gateway.tls_cert") is not None
    for name in _LISTENERS[:1] if doctor_beside.is_gateways(it) else _LISTENERS:
        at = it.settings.text(f"{name}.listen")
        if at is None or at == "off":
            continue
        host, _ = config.parse_address(at, f"{name}.listen")
        public = urlsplit(it.settings.text(f"{name}.url") or "").scheme == "https"
        values = {"name": name, "at": at}
        if is_loopback(host) or (tls and name == "gateway"):
            yield MachineFinding("listeners", Fitness.WELL, "listener_own", values=values)
        elif public:
            yield MachineFinding("listeners", Fitness.WELL, "listener_behind", values=values)
        else:
            yield MachineFinding(
                "listeners", Fitness.DOUBT, "listener_plain", "listener_tls", values
            )


def _certificate(it: ExaminedHome) -> Iterator[MachineFinding]:
    file, key = (it.settings.text(f"gateway.tls_{what}") for what in ("cert", "key"))
    if file is None or key is None:
        return
    server_context(Path(file), Path(key))
    yield _ends("certificate", ends_at(Path(file)), {"name": file})


# -- what is elsewhere -----------------------------------------------------------------------------


def _public_names(it: ExaminedHome) -> Iterator[MachineFinding]:
    for name in _LISTENERS:
        address = it.settings.text(f"{name}.url")
        if address is None:
            continue
        values = {"name": address}
        parts = urlsplit(address)
        out = Network.of(it.environment)
        if parts.scheme == "https" and parts.hostname and out.proxy(address) is None:
            try:
                yield _ends("public_name", _expiry(out, parts.hostname, parts.port or 443), values)
            except OSError as error:  # of TLS too
                why = getattr(error, "verify_message", None) or type(error).__name__
                told = {**values, "why": why}
                yield MachineFinding("public_name", Fitness.WRONG, "name_tls", "name_mend", told)
                continue
        yield _asked("public_name", out, address.rstrip("/") + "/healthz", values, "name")


def _holder(it: ExaminedHome) -> Iterator[MachineFinding]:
    url = it.settings.text(HOLDER)
    if url is not None and doctor_beside.is_gateways(it):
        out, at = Network.of(it.environment), url.rstrip("/") + "/healthz"
        yield _asked("holder", out, at, {"name": url}, "name")


def _upstreams(it: ExaminedHome) -> Iterator[MachineFinding]:
    named = it.settings.text("policy.document")
    policy = load(None if named is None else Path(named))
    first = upstreams(it.settings, policy)
    further = [one for _, one in further_upstreams(it.settings, policy)]
    if "api" not in first:
        yield MachineFinding("upstream", Fitness.DOUBT, "upstream_embedded", "upstream_set")
    seen: set[str] = set()
    for one in [*first.values(), *further][:MOST_NAMES]:
        if one.url not in seen:
            seen.add(one.url)
            yield _asked_upstream(one)


def _asked_upstream(one: Upstream) -> MachineFinding:
    host = urlsplit(one.url).hostname or one.url
    values: dict[str, object] = {"name": one.name or host, "host": host}
    return _asked("upstream", one.way_out, one.url, values, "upstream")


def _providers(it: ExaminedHome) -> Iterator[MachineFinding]:
    out = Network.of(it.environment)
    for issuer in it.issuers[:MOST_NAMES]:
        at = issuer.rstrip("/") + "/.well-known/openid-configuration"
        yield _asked("provider", out, at, {"name": issuer}, "provider")


def _asked(
    check: str, out: Network, address: str, values: Mapping[str, object], said: str
) -> MachineFinding:
    """Ask once, without a credential. An upstream is reached that answers, whatever that is; others
    have to answer with 200.
    """
    try:
        answer = out.ask("GET", address, what=check, seconds=_SECONDS)
    except NoAnswer as error:
        told = {**values, "why": error}
        return MachineFinding(check, Fitness.WRONG, f"{said}_away", f"{said}_mend", told)
    apart = _apart(answer.headers.get("date", ""))
    if apart is not None and apart > _CLOCK:
        told = {**values, "by": int(apart.total_seconds())}
        return MachineFinding("clock", Fitness.WRONG, "clock_apart", "clock_keep", told)
    if check != "upstream" and answer.status != 200:
        told = {**values, "why": answer.status}
        return MachineFinding(check, Fitness.WRONG, f"{said}_away", f"{said}_mend", told)
    return MachineFinding(check, Fitness.WELL, f"{said}_there", values=values)


def _apart(date: str) -> timedelta | None:
    """By how much another machine's clock and ours differ, by its answer's date."""
    try:
        return abs(parsedate_to_datetime(date) - system_clock())
    except (ValueError, TypeError):
        return None


def _expiry(out: Network, host: str, port: int) -> datetime:
    """Until when the certificate is good that is shown under a name, once it was verified."""
    with (
        socket.create_connection((host, port), _SECONDS) as plain,
        out.tls().wrap_socket(plain, server_hostname=host) as spoken,
    ):
        shown = spoken.getpeercert() or {}
        return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(shown["notAfter"])), UTC)


def _ends(check: str, ends: datetime, values: Mapping[str, object]) -> MachineFinding:
    left = ends - system_clock()
    values = {**values, "days": left.days}
    if left < timedelta():
        return MachineFinding(
            check, Fitness.WRONG, "certificate_ended", "certificate_renew", values
        )
    if left < _SOON:
        return MachineFinding(check, Fitness.DOUBT, "certificate_ends", "certificate_renew", values)
    return MachineFinding(check, Fitness.WELL, "certificate_good", values=values)
