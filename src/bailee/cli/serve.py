"""`bailee serve`: processes beside the server that has the home."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from bailee.cli.errors import reporting
from bailee.cli.reach import HomeOption

app = typer.Typer(
    help="One part of a server as a process of its own, beside the one that has the home.",
    no_args_is_help=True,
)


@app.callback()
def _group() -> None:
    pass


@app.command()
def gateway(  # noqa: PLR0917 - each is an option
    listen: Annotated[
        str | None, typer.Option("--gateway", help="HOST:PORT of the gateway.")
    ] = None,
    upstream: Annotated[str | None, typer.Option(help="The model's Messages API.")] = None,
    upstream_key_env: Annotated[
        str | None, typer.Option(help="The environment variable with the upstream's API key.")
    ] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="Certificate chain (PEM).")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its private key (PEM).")] = None,
    holder: Annotated[
        str | None,
        typer.Option(help="The server's gateway, where what is for no model is passed on."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON line when ready, and nothing else.")
    ] = False,
    home: HomeOption = None,
) -> None:
    """Start one more gateway beside the server that has the home, on PostgreSQL. It needs nothing
    of the home's folder. Runs until stopped.
    """
    given = {
        "gateway.listen": listen,
        "upstream.url": upstream,
        "upstream.key_env": upstream_key_env,
        "gateway.tls_cert": None if tls_cert is None else str(tls_cert.absolute()),
        "gateway.tls_key": None if tls_key is None else str(tls_key.absolute()),
        "holder.url": holder,
    }
    with reporting():
        from bailee.app.run_gateway import run_gateway

        run_gateway(home, given, os.environ, as_json=as_json)
