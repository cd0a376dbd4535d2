"""What the settings say of a server's listeners: addresses, certificate, the gateway's limits."""

from __future__ import annotations

from pathlib import Path

from bailee.admission import Descriptors
from bailee.config import Settings
from bailee.console import check_url
from bailee.errors import InputError
from bailee.gateway.settings import MIB, GatewayLimits
from bailee.home.guarding import check_secret


def public_url(settings: Settings, name: str) -> str | None:
    """The public address that a setting has; None: it has none.

    Raises:
        InputError: code `configuration`; it is none.
    """
    url = settings.text(name)
    return None if url is None else check_url(url, name)


def limits_of(settings: Settings, descriptors: Descriptors) -> GatewayLimits:
    """The gateway's limits: as set, and within what the process may have."""
    return GatewayLimits(
        connections=min(settings.number("gateway.connections"), descriptors.gateway),
        connections_per_address=settings.number("gateway.connections_per_address"),
        requests_per_account=settings.number("gateway.requests_per_account"),
        memory_per_account=settings.number("gateway.memory_per_account_mb") * MIB,
        spool_per_account=settings.number("gateway.spool_per_account_mb") * MIB,
        spool=settings.number("gateway.spool_mb") * MIB,
        unsealed_per_account=settings.number("gateway.unsealed_per_account"),
        unsealed=settings.number("gateway.unsealed"),
        sealing_per_account=settings.number("gateway.sealing_seconds_per_account"),
        stored_per_account=settings.number("gateway.stored_per_account_mb") * MIB,
        idle_upstreams=descriptors.idle_upstreams,
        max_body=settings.number("gateway.max_request_mb") * MIB,
        max_upload=settings.number("gateway.max_upload_mb") * MIB,
    )


def tls_files(settings: Settings) -> tuple[Path, Path] | None:
    """The listeners' certificate chain and its key, as PEM files; None: they have none.

    Raises:
        InputError: code `configuration`; one is missing, or others can read the key.
    """
    certificate, key = settings.text("gateway.tls_cert"), settings.text("gateway.tls_key")
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise InputError(
            "TLS needs both a certificate and its key.",
            code="configuration",
            hint="give --tls-cert and --tls-key",
        )
    check_secret(Path(key))
    return Path(certificate), Path(key)


def in_url(host: str) -> str:
    """A host as it stands in an address."""
    return f"[{host}]" if ":" in host else host
