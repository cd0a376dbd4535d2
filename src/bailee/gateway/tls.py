"""TLS on both sides of the gateway: 1.2 at least, certificates always checked."""

from __future__ import annotations

import ssl
from pathlib import Path

from bailee.errors import InputError


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """For the listener; PEM files.

    Raises:
        InputError: a file can't be read, or certificate and key do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    _load(lambda: context.load_cert_chain(certificate, key), "certificate and key")
    return context


def upstream_context(ca_file: Path | None, client_cert: Path | None) -> ssl.SSLContext:
    """For connections to an upstream. `SSL_CERT_FILE` and `SSL_CERT_DIR` are honoured.

    Raises:
        InputError: a file can't be read.
    """
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if ca_file is not None:
        _load(lambda: context.load_verify_locations(ca_file), "CA file")
    if client_cert is not None:
        _load(lambda: context.load_cert_chain(client_cert), "client certificate")
    return context


def _load(load: object, what: str) -> None:
    assert callable(load)
    try:
        load()
    except (OSError, ssl.SSLError):
        raise InputError(
            f"The {what} can't be read.",
            code="configuration",
            hint="give PEM files that belong together and are readable by this user",
        ) from None
