"""`bailee setup`: tell an agent of this machine where to sign in."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import ssl
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

import typer

from bailee.cli.errors import reporting
from bailee.cli.show import note, say
from bailee.errors import InputError, StorageError
from bailee.json_values import JsonObject
from bailee.managed.compiling import ManagedAgent, path_for

app = typer.Typer(help="Tell an agent of this machine where to sign in.", no_args_is_help=True)
_MANAGED: Final = Path(path_for(ManagedAgent.CLAUDE))
_SECONDS: Final = 10.0


@app.command()
def claude(
    gateway: Annotated[str, typer.Argument(help="The gateway's address, like https://…")],
    managed: Annotated[
        bool, typer.Option("--managed", help=f"For everybody on this machine: {_MANAGED}.")
    ] = False,
    file: Annotated[
        Path | None, typer.Option(help="Write this file instead.", show_default=False)
    ] = None,
) -> None:
    """Have Claude Code sign in at this gateway: writes two settings, and shows what the client asks
    a person to compare.
    """
    from bailee.client.gateway_address import checked_gateway, with_gateway

    with reporting():
        address = checked_gateway(gateway)
        path = file or (_MANAGED if managed else _own())
        _write(path, with_gateway(_read(path), address))
        say(f"{path}: claude signs in at {address}")
        _compare(address)
        say("start claude, or type /login in it")


def _own() -> Path:
    folder = os.environ.get("CLAUDE_CONFIG_DIR")
    return (Path(folder) if folder else Path.home() / ".claude") / "settings.json"


def _read(path: Path) -> JsonObject:
    try:
        held = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(
            f"{path} can't be read as JSON; it was not changed.",
            code="configuration",
            hint="mend it, then run this again",
        ) from error
    if not isinstance(held, dict):
        raise InputError(f"{path} is no JSON object; it was not changed.", code="configuration")
    return held


def _write(path: Path, settings: JsonObject) -> None:
    beside = path.with_name(f".{path.name}.bailee")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
        beside.write_text(json.dumps(settings, indent=2) + "\n", "utf-8")
        beside.chmod(mode)
        beside.replace(path)
    except OSError as error:
        raise StorageError(
            f"{path} can't be written ({error.strerror}); it was not changed.",
            hint="for --managed run it as root",
        ) from error


def _compare(address: str) -> None:
    from bailee.client.gateway_address import fingerprint, not_private

    parts = urlsplit(address)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        note(f"{host} can't be looked up from here: compare the fingerprint where it can be.")
        return
    public = not_private(str(one[4][0]) for one in found)
    if public:
        note(f"claude refuses a gateway at a public address, and {host} has {', '.join(public)}.")
    if parts.scheme == "http":
        say("fingerprint: http-loopback… (no TLS on this machine)")
        return
    try:
        pem = ssl.get_server_certificate((host, port), timeout=_SECONDS)
    except OSError as error:
        note(f"its certificate can't be had ({type(error).__name__}): compare it later.")
        return
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()
    say(f"fingerprint (SHA-256): {fingerprint(digest)}  whole: {digest}")
