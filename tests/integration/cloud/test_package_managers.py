"""Real package managers through the egress proxy: local registries, and the real ones if reachable.

Each tool runs with nothing of this machine's settings, and with the proxy variables that a session
has. The proxy resolves; the names of the local registries exist nowhere else.
"""

from __future__ import annotations

import asyncio
import base64
import functools
import hashlib
import io
import ipaddress
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trustme

from bailee.cloud.egress import ConnectionOutcome, EgressProxy, EgressRecord, EgressRules
from bailee.outbound.addresses import Address, why_not_public
from bailee.outbound.dialing import Dialer, system_resolver
from support.servers.registries import WebServer
from support.servers.serving import Served

from .conftest import LOOPBACK

pytestmark = pytest.mark.row("C3")

NAME = "registry.test"


@functools.cache
def wheel() -> bytes:
    """A Python package, `demo` 1.0."""
    out = io.BytesIO()
    info = "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n"
    files = {
        "demo.py": "answer = 42\n",
        "demo-1.0.dist-info/METADATA": info,
        "demo-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n",
        "demo-1.0.dist-info/RECORD": "",
    }
    with zipfile.ZipFile(out, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return out.getvalue()


@functools.cache
def tarball() -> bytes:
    """An npm package, `demo` 1.0.0."""
    out = io.BytesIO()
    text = json.dumps({"name": "demo", "version": "1.0.0"}).encode()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        entry = tarfile.TarInfo("package/package.json")
        entry.size = len(text)
        archive.addfile(entry, io.BytesIO(text))
    return out.getvalue()


def debian_package(folder: Path) -> bytes:
    """A Debian package, `demo` 1.0."""
    control = folder / "demo" / "DEBIAN" / "control"
    control.parent.mkdir(parents=True)
    control.write_text(
        "Package: demo\nVersion: 1.0\nArchitecture: all\nMaintainer: A <a@example.org>\n"
        "Description: a demonstration\n"
    )
    subprocess.run(
        [
            "dpkg-deb",
            "--build",
            "--root-owner-group",
            str(folder / "demo"),
            str(folder / "demo.deb"),
        ],
        check=True,
        capture_output=True,
    )
    return (folder / "demo.deb").read_bytes()


@dataclass
class Registries:
    """The local registries, and a proxy that reaches them."""

    plain: WebServer
    secure: WebServer
    certificates: Path
    served: Served
    records: list[EgressRecord] = field(default_factory=list)

    def start(
        self, rules: EgressRules | None = None, private: tuple[ipaddress.IPv4Network, ...] = ()
    ) -> None:
        """A proxy that reaches the local registries only, or follows `rules`."""

        async def local(_name: str, _port: int) -> list[Address]:
            return [ipaddress.ip_address("127.0.0.1")]

        ports = (self.plain.port, self.secure.port)
        self.records.clear()
        self.served.service = EgressProxy(
            rules or EgressRules.of("trusted", allow=[f"{NAME}:{port}" for port in ports]),
            record=self.records.append,
            dialer=Dialer(local, private=LOOPBACK)
            if rules is None
            else Dialer(system_resolver, private=private),
        ).serve

    def run(self, *command: str, home: Path, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a tool as a session would."""
        proxy = f"http://127.0.0.1:{self.served.port}"
        return subprocess.run(
            command,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(home),
                "HTTP_PROXY": proxy,
                "HTTPS_PROXY": proxy,
                "http_proxy": proxy,
                "https_proxy": proxy,
            }
            | variables,
            cwd=home,
            capture_output=True,
            text=True,
            check=False,
            timeout=170,
        )

    def pip(
        self, index: str, package: str, home: Path, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """pip, downloading a package."""
        return self.run(
            *(sys.executable, "-m", "pip", "download", "--no-deps", "--no-cache-dir"),
            *("--disable-pip-version-check", "--retries", "1", "--index-url", index, package),
            home=home,
            PIP_CONFIG_FILE=os.devnull,
            **variables,
        )

    def npm(
        self, registry: str, package: str, home: Path, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """npm, installing a package."""
        if shutil.which("npm") is None:
            pytest.skip("npm is not installed")
        return self.run(
            *("npm", "install", "--no-audit", "--no-fund", "--no-update-notifier"),
            *("--fetch-retries=0", "--globalconfig", os.devnull, "--registry", registry, package),
            home=home,
            **variables,
        )

    def apt(
        self, source: str, home: Path, *command: str, options: tuple[str, ...] = ()
    ) -> subprocess.CompletedProcess[str]:
        """apt-get with folders of its own."""
        if shutil.which("apt-get") is None:
            pytest.skip("apt-get is not installed: this is no Debian")
        for folder in (
            "lists/partial",
            "cache/archives/partial",
            "etc/preferences.d",
            "etc/trusted.gpg.d",
        ):
            (home / folder).mkdir(parents=True, exist_ok=True)
        (home / "sources.list").write_text(source + "\n")
        (home / "status").touch()
        (home / "apt.conf").touch()
        settings = {
            "Dir::Etc": home / "etc",
            "Dir::Etc::sourcelist": home / "sources.list",
            "Dir::Etc::sourceparts": "-",
            "Dir::Etc::parts": "-",
            "Dir::Etc::main": home / "apt.conf",
            "Dir::State": home,
            "Dir::State::lists": home / "lists",
            "Dir::State::status": home / "status",
            "Dir::Cache": home / "cache",
            "Acquire::https::CaInfo": self.certificates,
            "Acquire::Retries": "0",
            "APT::Sandbox::User": "",
            "Debug::NoLocking": "1",
        }  # fmt: skip
        given = [part for name, value in settings.items() for part in ("-o", f"{name}={value}")]
        return self.run(
            "apt-get",
            "-q",
            *given,
            *options,
            *command,
            home=home,
            APT_CONFIG=str(home / "apt.conf"),
        )

    @property
    def outcomes(self) -> set[tuple[ConnectionOutcome, str, str]]:
        """What was recorded: outcome, kind and host."""
        self.served.idle()
        return {(r.outcome, r.kind, r.host) for r in self.records}


@pytest.fixture(scope="module")
def registries(
    authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Registries]:
    """The same files over HTTP and over TLS."""
    folder = tmp_path_factory.mktemp("registries")
    certificates = folder / "ca.pem"
    authority.cert_pem.write_to_path(str(certificates))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(NAME).configure_cert(tls)
    files: dict[str, bytes] = {
        "/simple/demo/": b'<a href="/files/demo-1.0-py3-none-any.whl">demo</a>',
        "/files/demo-1.0-py3-none-any.whl": wheel(),
        "/demo/-/demo-1.0.0.tgz": tarball(),
    }
    if shutil.which("dpkg-deb") is not None:
        package = debian_package(folder)
        files["/debian/./demo.deb"] = package
        files["/debian/./Packages"] = (
            "Package: demo\nVersion: 1.0\nArchitecture: all\nMaintainer: A <a@example.org>\n"
            f"Filename: ./demo.deb\nSize: {len(package)}\n"
            f"SHA256: {hashlib.sha256(package).hexdigest()}\nDescription: a demonstration\n\n"
        ).encode()
    with WebServer(files) as plain, WebServer(files, tls) as secure, Served(keep=False) as served:
        made = Registries(plain, secure, certificates, served)
        digest = base64.b64encode(hashlib.sha512(tarball()).digest()).decode()
        for server in (plain, secure):
            address = address_of(made, server)
            dist = {"tarball": f"{address}/demo/-/demo-1.0.0.tgz", "integrity": f"sha512-{digest}"}
            version = {"name": "demo", "version": "1.0.0", "dist": dist}
            server.files = files | {
                "/demo": json.dumps(
                    {
                        "name": "demo",
                        "dist-tags": {"latest": "1.0.0"},
                        "versions": {"1.0.0": version},
                    }
                ).encode()
            }
        yield made


def address_of(registries: Registries, server: WebServer) -> str:
    """The address of a local registry."""
    scheme = "https" if server is registries.secure else "http"
    return f"{scheme}://{NAME}:{server.port}"


@pytest.fixture(params=["http", "tls"])
def local(request: pytest.FixtureRequest, registries: Registries) -> tuple[Registries, str, str]:
    """The registries, the address of one of them, and how its connections are recorded."""
    registries.start()
    server = registries.secure if request.param == "tls" else registries.plain
    return registries, address_of(registries, server), request.param


def test_pip(local: tuple[Registries, str, str], tmp_path: Path) -> None:
    """Pip downloads a package from a local index."""
    registries, address, kind = local
    trusted = {"PIP_TRUSTED_HOST": NAME} if kind == "http" else {}
    done = registries.pip(
        f"{address}/simple/", "demo", tmp_path, PIP_CERT=str(registries.certificates), **trusted
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert wheel() == (tmp_path / "demo-1.0-py3-none-any.whl").read_bytes()
    assert {(ConnectionOutcome.ALLOWED, kind, NAME)} == registries.outcomes


def test_npm(local: tuple[Registries, str, str], tmp_path: Path) -> None:
    """Npm installs a package from a local registry."""
    registries, address, kind = local
    done = registries.npm(
        address, "demo", tmp_path, NODE_EXTRA_CA_CERTS=str(registries.certificates)
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "node_modules" / "demo" / "package.json").exists()
    assert {(ConnectionOutcome.ALLOWED, kind, NAME)} == registries.outcomes


def test_apt(local: tuple[Registries, str, str], tmp_path: Path) -> None:
    """apt-get reads a local repository and downloads a package of it."""
    registries, address, kind = local
    source = f"deb [trusted=yes] {address}/debian ./"
    done = registries.apt(source, tmp_path, "update")
    assert done.returncode == 0, done.stdout + done.stderr
    done = registries.apt(source, tmp_path, "download", "demo")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "demo_1.0_all.deb").exists()
    assert {(ConnectionOutcome.ALLOWED, kind, NAME)} == registries.outcomes


def test_curl(local: tuple[Registries, str, str], tmp_path: Path) -> None:
    """Curl downloads a file."""
    registries, address, kind = local
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    done = registries.run(
        *("curl", "-sSf", "--cacert", str(registries.certificates), "-o", "got"),
        f"{address}/files/demo-1.0-py3-none-any.whl",
        home=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert wheel() == (tmp_path / "got").read_bytes()
    assert {(ConnectionOutcome.ALLOWED, kind, NAME)} == registries.outcomes


class TestRefused:
    """A tool that is refused shows which rule it was."""

    def test_pip(self, registries: Registries, tmp_path: Path) -> None:
        """Pip prints the rule."""
        registries.start()
        done = registries.pip("https://elsewhere.test/simple/", "demo", tmp_path)
        assert done.returncode != 0
        assert "(rule level.trusted)" in done.stdout + done.stderr

    def test_npm(self, registries: Registries, tmp_path: Path) -> None:
        """Npm fails, and over plain HTTP it prints the rule."""
        registries.start()
        done = registries.npm("http://elsewhere.test/", "demo", tmp_path)
        assert done.returncode != 0
        assert "403" in done.stdout + done.stderr
        assert "level.trusted" in done.stdout + done.stderr

    def test_apt(self, registries: Registries, tmp_path: Path) -> None:
        """apt-get prints the rule."""
        registries.start()
        for scheme in ("http", "https"):
            done = registries.apt(
                f"deb [trusted=yes] {scheme}://elsewhere.test/debian ./", tmp_path, "update"
            )
            assert "level.trusted" in done.stdout + done.stderr

    def test_curl(self, registries: Registries, tmp_path: Path) -> None:
        """Curl prints the body over HTTP, and the status line when asked for it over TLS."""
        registries.start()
        done = registries.run("curl", "-sS", "http://elsewhere.test/", home=tmp_path)
        assert "rule: level.trusted" in done.stdout
        done = registries.run("curl", "-sSv", "https://elsewhere.test/", home=tmp_path)
        assert "x-bailee-rule: level.trusted" in done.stderr


def reachable(*names: str) -> tuple[ipaddress.IPv4Network, ...]:
    """Skips unless the names can be resolved and reached from here. Gives the addresses that are
    not public: where a network has mirrors of its own under these names.
    """
    private = []
    for name in names:
        try:
            found = asyncio.run(system_resolver(name, 443))
            socket.create_connection((name, 443), timeout=5).close()
        except OSError:
            pytest.skip(f"no network: {name} can't be reached from here")
        private += [
            ipaddress.ip_network(f"{a}/32") for a in found if a.version == 4 and why_not_public(a)
        ]
    return tuple(private)


class TestReal:
    """The real registries, at the level `trusted` as it comes."""

    def test_pip(self, registries: Registries, tmp_path: Path) -> None:
        """Pip downloads from PyPI."""
        private = reachable("pypi.org", "files.pythonhosted.org")
        registries.start(EgressRules.of("trusted"), private)
        certificates = ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt"
        done = registries.pip("https://pypi.org/simple/", "six", tmp_path, PIP_CERT=certificates)
        assert done.returncode == 0, done.stdout + done.stderr
        assert list(tmp_path.glob("six-*.whl"))
        assert (ConnectionOutcome.ALLOWED, "tls", "pypi.org") in registries.outcomes

    def test_npm(self, registries: Registries, tmp_path: Path) -> None:
        """Npm installs from its registry."""
        private = reachable("registry.npmjs.org")
        registries.start(EgressRules.of("trusted"), private)
        certificates = "/etc/ssl/certs/ca-certificates.crt"
        done = registries.npm(
            "https://registry.npmjs.org/", "is-number", tmp_path, NODE_EXTRA_CA_CERTS=certificates
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert {(ConnectionOutcome.ALLOWED, "tls", "registry.npmjs.org")} == registries.outcomes

    def test_apt(self, registries: Registries, tmp_path: Path) -> None:
        """apt-get reads Debian's archive and downloads a package, with Debian's own signatures."""
        keys = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
        if not keys.exists():
            pytest.skip("no keys of Debian's archive: this is no Debian")
        private = reachable("deb.debian.org")
        registries.start(EgressRules.of("trusted"), private)
        source = f"deb [signed-by={keys}] http://deb.debian.org/debian bookworm-updates main"
        done = registries.apt(source, tmp_path, "update")
        assert done.returncode == 0, done.stdout + done.stderr
        assert list((tmp_path / "lists").glob("*InRelease"))
        assert {(ConnectionOutcome.ALLOWED, "http", "deb.debian.org")} == registries.outcomes
