"""`bailee witness`: a witness over HTTP (C2SP tlog-witness), which needs no home.

    POST /add-checkpoint                       cosigns, or says why not
    GET  /<SHA-256 of the origin>/checkpoint   what was cosigned last of a log, for monitors

Rules kept here:

* A body has a largest size and a time, an address so many connections and requests; what is over
  gets 413, 408 or 429. Only what a known log has signed costs a look at the disk.
* Who asks is not known and need not be: a signature under the checkpoint says whose it is.

Rows: P4.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import uvloop
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from bailee.admission import ConnectionLimits
from bailee.admission.addresses import trusted_proxies
from bailee.app.cloud_runner import until_told
from bailee.app.process import leave_no_core
from bailee.app.said import log_as_text
from bailee.config import parse_address
from bailee.console import Listener, bind
from bailee.health import ALIVE
from bailee.home.guarding import check_secret
from bailee.ingest.door import Door, DoorLimits, Sends
from bailee.ingest.quotas import Rate
from bailee.ledger.tlog.witnessing import MOST_BYTES, PATH
from bailee.ledger.witness import Witness
from bailee.shown import line

_CONNECTIONS: Final = ConnectionLimits.of(256, 64)
_LIMITS: Final = DoorLimits(body=MOST_BYTES, requests_per_address=Rate(20, 200))
_FRESH: Final = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


def site(
    witness: Witness, now: Callable[[], float] = time.time, limits: DoorLimits = _LIMITS
) -> Starlette:
    """The application. `now`: the time that cosignatures say; `limits`: of who asks."""
    door: Door[Sends] = Door(lambda _key: None, limits)

    async def add_checkpoint(request: Request) -> Response:
        body = await door.anonymous(request, MOST_BYTES)
        answer = await run_in_threadpool(witness.answer, body, int(now()))
        return Response(answer.body, answer.status, {**_FRESH, "content-type": answer.content_type})

    async def monitor(request: Request) -> Response:
        await door.anonymous(request, 0)
        found = await run_in_threadpool(witness.cosigned, request.path_params["log"])
        if found is None:
            return PlainTextResponse("this log was not cosigned here.\n", 404)
        return PlainTextResponse(found, headers=_FRESH)

    async def alive(_request: Request) -> Response:
        return Response(ALIVE, media_type="application/json")

    def through(
        answer: Callable[[Request], Awaitable[Response]],
    ) -> Callable[[Request], Awaitable[Response]]:
        async def answered(request: Request) -> Response:
            return await door.answered(lambda: answer(request), _problem)

        return answered

    return Starlette(
        routes=[
            Route(f"/{PATH}", through(add_checkpoint), methods=["POST"]),
            Route("/{log}/checkpoint", through(monitor)),
            Route("/healthz", alive),
        ]
    )


def _problem(status: int, text: str, _seconds: int) -> Response:
    return PlainTextResponse(f"{text}\n", status, headers=_FRESH)


def run_witness(
    folder: Path,
    *,
    name: str | None,
    listen: str,
    tls: tuple[Path, Path] | None,
    proxies: str | None,
    as_json: bool,
) -> None:
    """Be a witness until SIGINT or SIGTERM.

    Raises:
        InputError: an argument or a file of the folder is wrong, or another process works in it.
        StorageError: the folder can't be used.
    """
    os.umask(0o077)
    leave_no_core()
    log_as_text()
    if tls is not None:
        check_secret(tls[1])
    host, port = parse_address(listen, "--listen")
    with Witness(folder, name) as witness:
        listening = bind(host, port, "witness")
        listener = Listener(
            site(witness),
            listening,
            tls,
            limits=_CONNECTIONS,
            proxies=trusted_proxies(proxies),
        )
        host = f"[{host}]" if ":" in host else host
        scheme = "http" if tls is None else "https"
        url = f"{scheme}://{host}:{listening.getsockname()[1]}"

        async def serve() -> None:
            await listener.start()
            _announce(witness, url, as_json)
            try:
                await asyncio.Event().wait()
            finally:
                await listener.close()

        uvloop.run(until_told(serve()))


def _announce(witness: Witness, url: str, as_json: bool) -> None:
    keys = [key.text for key in witness.keys]
    if as_json:
        ready = {"ready": True, "url": url, "keys": keys, "logs": sorted(witness.logs)}
        text = json.dumps({**ready, "pid": os.getpid()}, separators=(",", ":"))
    else:
        logs = "".join(f"\n  {line(log)}" for log in sorted(witness.logs)) or "\n  none yet"
        named = "".join(f"\n  {line(key)}" for key in keys)
        text = (
            f"The witness is ready at {url}.\n\nIts keys:{named}\n\nThe logs that it knows:{logs}"
        )
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
