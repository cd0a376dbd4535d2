"""TLS of the listener: 1.2 at least. That of the upstreams is `way_out`'s."""

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
    try:
        # Without a function OpenSSL would ask for a passphrase at the terminal, and hang there.
        context.load_cert_chain(certificate, key, lambda: "")
    except (OSError, ssl.SSLError):
        raise InputError(
            "The certificate and key can't be read.",
            code="configuration",
            hint="give PEM files that belong together and are readable by this user, the key"
            " without a passphrase",
        ) from None
    return context
