"""`bailee witness`: a witness of logs, in a small folder of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bailee.cli.errors import reporting
from bailee.errors import InputError


def witness(  # noqa: PLR0917 - each is an option
    folder: Annotated[
        Path, typer.Argument(help="Its folder: its keys, known-logs, and what it cosigned.")
    ],
    name: Annotated[
        str | None, typer.Option(help="Its name, when the folder is new: as w.example.com/one.")
    ] = None,
    listen: Annotated[str, typer.Option(help="HOST:PORT to answer at.")] = "127.0.0.1:8790",
    tls_cert: Annotated[Path | None, typer.Option(help="Certificate chain (PEM).")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its private key (PEM).")] = None,
    trusted_proxies: Annotated[
        str | None, typer.Option(help="Reverse proxies whose X-Forwarded-For counts.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON line when ready, and nothing else.")
    ] = False,
) -> None:
    """Be a witness of other people's logs: cosign what only grows, and nothing else. Runs until
    stopped. Which logs it knows is written in the folder's file known-logs.
    """
    with reporting():
        if (tls_cert is None) != (tls_key is None):
            raise InputError(
                "TLS needs both a certificate and its key.", hint="give --tls-cert and --tls-key"
            )
        from bailee.app.witness import run_witness

        run_witness(
            folder,
            name=name,
            listen=listen,
            tls=None if tls_cert is None or tls_key is None else (tls_cert, tls_key),
            proxies=trusted_proxies,
            as_json=as_json,
        )
