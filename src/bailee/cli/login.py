"""`bailee login`, `bailee logout`, `bailee token`: this machine's own sign-in at a gateway."""

from __future__ import annotations

import os
import time
import webbrowser
from pathlib import Path
from typing import Annotated, Final

import typer

from bailee import __version__
from bailee.cli.errors import reporting
from bailee.cli.show import note, say
from bailee.errors import InputError, PolicyDenied, UpstreamError
from bailee.json_values import text
from bailee.shown import line

_LONGEST: Final = 900.0


def login(
    gateway: Annotated[str, typer.Argument(help="The gateway's address, like https://…")],
    browser: Annotated[
        bool, typer.Option(help="Open the page in a browser; the address is printed either way.")
    ] = True,
    workload: Annotated[
        str | None,
        typer.Option(
            help="As this service account (svc_…), by the token of the CI provider's job.",
            show_default=False,
        ),
    ] = None,
    audience: Annotated[
        str | None,
        typer.Option(help="For whom the job's token is to be (GitHub).", show_default=False),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(help="Where the job's token is, if in a file.", show_default=False),
    ] = None,
) -> None:
    """Sign in at a gateway, for `bailee code`, `bailee run` and whatever asks `bailee token`."""
    from bailee.client import signed_in
    from bailee.client.files import data_folder
    from bailee.client.gateway_address import checked_gateway
    from bailee.client.workload_token import workload_token
    from bailee.outbound.network import Network

    with reporting():
        address, network, agent = checked_gateway(gateway), Network.of(), f"bailee/{__version__}"
        if workload is not None:
            job = workload_token(token_file, audience, os.environ.get, network)
            found = signed_in.exchange(address, workload, job, network, time.time(), agent)
            signed_in.keep(data_folder(), found)
            say(f"signed in at {address} as {line(workload)}, for an hour")
            return
        begun = signed_in.begin(address, network, agent)
        if notice := text(begun.get("login_notice")):
            say(notice, err=True)
        page = text(begun.get("verification_uri_complete")) or text(begun["verification_uri"])
        say(f"code: {line(text(begun['user_code']))}", err=True)
        say(f"confirm it at: {line(page)}", err=True)
        if browser and page.startswith(("https://", "http://")) and not os.environ.get("CI"):
            webbrowser.open(page)
        pause, until = _seconds(begun.get("interval"), 5.0), time.monotonic() + _LONGEST
        away = False
        while time.monotonic() < until:
            time.sleep(pause)
            code = text(begun["device_code"])
            try:
                claimed = signed_in.claim(address, code, network, time.time(), agent)
            except UpstreamError as error:  # it may be starting anew, and knows the sign-in then
                if not away:
                    note(error.message, err=True)
                away = True
                continue
            away = False
            if isinstance(claimed, signed_in.LocalSignIn):
                signed_in.keep(data_folder(), claimed)
                say(
                    f"signed in at {address}"
                    + (f" as {line(claimed.email)}" if claimed.email else "")
                )
                return
            if claimed == "slow_down":
                pause += 5
            elif claimed == "access_denied":
                raise PolicyDenied("the sign-in was denied in the browser.", code="forbidden")
            elif claimed not in ("authorization_pending", "temporarily_unavailable"):
                break
        raise InputError("the sign-in was not confirmed in time.", hint="begin again: bailee login")


def logout() -> None:
    """Sign this machine out. Its tokens are good no more, here or anywhere."""
    from bailee.client import signed_in
    from bailee.client.files import data_folder
    from bailee.outbound.network import Network

    with reporting():
        held = signed_in.read(data_folder())
        if held is None:
            say("nobody is signed in.")
            return
        try:
            signed_in.end(held, Network.of())
        except UpstreamError as error:
            note(f"{error.message} The token that is out lasts an hour at most.")
        signed_in.forget(data_folder())
        say(f"signed out of {held.gateway}")


def token() -> None:
    """Print a token that is good for some minutes: for `apiKeyHelper`, SDKs."""
    from bailee.client import signed_in
    from bailee.client.files import data_folder
    from bailee.outbound.network import Network

    with reporting():
        say(signed_in.fresh(data_folder(), Network.of(), time.time()).access)


def _seconds(value: object, usual: float) -> float:
    return float(value) if isinstance(value, int | float) and 1 <= value <= 60 else usual
