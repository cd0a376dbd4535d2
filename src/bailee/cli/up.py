"""`bailee up`: the server on one machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from bailee.cli.errors import reporting
from bailee.cli.reach import HomeOption
from bailee.cli.show import say


def up(  # noqa: PLR0917 - each is an option
    gateway: Annotated[str | None, typer.Option(help="HOST:PORT of the gateway.")] = None,
    console: Annotated[str | None, typer.Option(help="HOST:PORT of the console.")] = None,
    ingest: Annotated[
        str | None,
        typer.Option(help="HOST:PORT that takes metrics and errors, or `off`."),
    ] = None,
    upstream: Annotated[
        str | None,
        typer.Option(help="The model's Messages API. Not given: a small embedded model."),
    ] = None,
    upstream_key_env: Annotated[
        str | None, typer.Option(help="The environment variable with the upstream's API key.")
    ] = None,
    upstream_ca: Annotated[
        Path | None, typer.Option(help="Certificates (PEM) to trust for the upstream.")
    ] = None,
    bedrock: Annotated[
        str | None, typer.Option(help="Bedrock runtime address, or auto; for /bedrock/...")
    ] = None,
    vertex: Annotated[
        str | None, typer.Option(help="Vertex AI address, or auto; for /vertex/...")
    ] = None,
    openai: Annotated[
        str | None, typer.Option(help="OpenAI's API or one like it, or auto; for /openai/...")
    ] = None,
    openai_key_env: Annotated[
        str | None, typer.Option(help="The environment variable with its key.")
    ] = None,
    google: Annotated[
        str | None, typer.Option(help="The Gemini API, or auto; for /gemini/...")
    ] = None,
    google_key_env: Annotated[
        str | None, typer.Option(help="The environment variable with its key.")
    ] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="Certificate chain (PEM).")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its private key (PEM).")] = None,
    policy: Annotated[
        Path | None, typer.Option(help="A new home's first policy document (else the shipped one).")
    ] = None,
    plan: Annotated[str, typer.Option(help="Plan of the first key, in a new home.")] = "api",
    test_clock: Annotated[
        bool, typer.Option("--test-clock", help="A new home whose time BAILEE_NOW may set.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON line when ready, and nothing else.")
    ] = False,
    home: HomeOption = None,
) -> None:
    """Start the gateway and the console, and run until stopped (Ctrl-C or SIGTERM)."""
    given = {
        "gateway.listen": gateway,
        "console.listen": console,
        "ingest.listen": ingest,
        "upstream.url": upstream,
        "upstream.key_env": upstream_key_env,
        "upstream.ca_file": _absolute(upstream_ca),
        "bedrock.url": bedrock,
        "vertex.url": vertex,
        "openai.url": openai,
        "openai.key_env": openai_key_env,
        "google.url": google,
        "google.key_env": google_key_env,
        "gateway.tls_cert": _absolute(tls_cert),
        "gateway.tls_key": _absolute(tls_key),
        "policy.document": None if policy is None else _document(policy),
    }
    with reporting():
        from bailee.app.run import run_server

        run_server(home, given, os.environ, plan=plan, test_clock=test_clock, as_json=as_json)


def sign_in(home: HomeOption = None) -> None:
    """Print a new single-use sign-in link for the console of a running server."""
    with reporting():
        from bailee.cli.reach import HomePlace, ask_one

        say(ask_one(HomePlace(folder=home), "console.sign_in").text("sign_in"))


def _document(path: Path) -> str:
    """A document's path from the root, or the name of a shipped version, as it is."""
    from bailee.policy.loading import VERSIONS

    shipped = str(path) in VERSIONS and not path.exists()
    return str(path) if shipped else str(path.absolute())


def _absolute(path: Path | None) -> str | None:
    return None if path is None else str(path.absolute())
