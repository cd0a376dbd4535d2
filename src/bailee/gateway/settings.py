"""What the gateway is told: its upstreams, its limits, and what to do when recording fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from bailee.errors import InputError
from bailee.gateway.credentials import Credential, NoCredential
from bailee.gateway.origins import Origins
from bailee.loopback import is_loopback
from bailee.outbound.network import Network

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Upstream:
    """A service that models are behind.

    `url` may have a path, which comes before every request's. `way_out` is how it is reached.
    `name`: how the operator calls it.
    """

    url: str
    credential: Credential = field(default_factory=NoCredential)
    way_out: Network = field(default_factory=Network)
    name: str = ""


@dataclass(frozen=True, slots=True)
class GatewayLimits:
    """Sizes in bytes, times in seconds.

    `connections` and `connections_per_address` are clients' connections, see
    `bailee.admission.connections`. `requests_per_account` and `memory_per_account` are shares, see
    `bailee.admission.shares`; `held` is what all accounts together may hold. Likewise
    `spool_per_account` and `spool`, of what is on disk and not sealed yet, in bytes, and
    `unsealed_per_account` and `unsealed`, in exchanges, and `sealing_per_account`, in seconds that
    it takes a processor to seal it. `stored_per_account`: of what is sealed, in
    bytes, see `bailee.admission.disk` (0: no limit).

    A body comes with `body_rate` bytes a second on average, after `body_grace`, and within
    `body_total`; time in which the gateway does not read is not counted. A client that takes
    nothing of its answer for `client_stalled` is given up; and one that is waited for longer than
    that in all, when it takes less than `body_rate` meanwhile.

    A request waits for its turn for `turn`, and is then turned away.

    `max_body` is the largest request; `max_upload` the largest that passes unrecorded with the
    client's own credential, and so is never held. `max_answer` holds for exchanges that are kept:
    a longer answer is stopped with an error, since a record may not lack its end. `resend` is the
    largest part of a request that can be written again, in the cases in which `uplink` does.
    `upstream_keep_alive` is less than the five seconds after which common servers (uvicorn, Node)
    close: who closes first is not surprised. `ping` is the silence in a stream
    after which the gateway sends a ping of its own; 0 sends none. `prompt` is the time in which a
    list of models is answered.
    """

    connections: int = 4096
    connections_per_address: int = 1024
    requests_per_account: int = 512
    memory_per_account: int = 256 * MIB
    max_head: int = 64 * 1024
    max_body: int = 32 * MIB
    max_upload: int = 500 * MIB
    max_answer: int = 64 * MIB
    held: int = 512 * MIB
    spool_per_account: int = 1024 * MIB
    spool: int = 2048 * MIB
    unsealed_per_account: int = 5_000
    unsealed: int = 10_000
    sealing_per_account: int = 120
    stored_per_account: int = 0
    resend: int = 256 * 1024
    idle_upstreams: int = 256
    client_head: float = 30.0
    turn: float = 30.0
    client_body_idle: float = 60.0
    body_rate: int = 1024
    body_grace: float = 30.0
    body_total: float = 600.0
    tls_handshake: float = 10.0
    client_stalled: float = 300.0
    keep_alive: float = 75.0
    linger: float = 5.0
    upstream_connect: float = 10.0
    upstream_silence: float = 600.0
    upstream_keep_alive: float = 4.0
    prompt: float = 2.5
    ping: float = 15.0


@dataclass(frozen=True, slots=True)
class GatewayConfig:
    """The gateway's settings: an upstream for each channel that there is, the first, and `further`
    ones, each with its channel, among which the policy chooses. `on_recorder_failure` comes from
    the policy. `trusted_proxy` says whether an address is a proxy's that everybody comes from.
    `origins` are those whose pages may call it from a browser.
    """

    api: Upstream | None = None
    bedrock: Upstream | None = None
    vertex: Upstream | None = None
    openai: Upstream | None = None
    google: Upstream | None = None
    azure: Upstream | None = None
    foundry: Upstream | None = None
    further: tuple[tuple[str, Upstream], ...] = ()
    on_recorder_failure: Literal["refuse", "serve_unrecorded"] = "refuse"
    limits: GatewayLimits = field(default_factory=GatewayLimits)
    trusted_proxy: Callable[[str], bool] = lambda _address: False
    origins: Origins = field(default_factory=Origins)

    @property
    def upstreams(self) -> dict[str, Upstream]:
        """Those that there are, by channel."""
        given = {
            "api": self.api,
            "bedrock": self.bedrock,
            "vertex": self.vertex,
            "openai": self.openai,
            "google": self.google,
            "azure": self.azure,
            "foundry": self.foundry,
        }
        return {channel: one for channel, one in given.items() if one is not None}


def check_upstream(url: str) -> str:
    """`url`, if nobody between here and there can read what is sent to it.

    Raises:
        InputError: it is plain HTTP to another host.
    """
    parts = urlsplit(url)
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise InputError(
            "The upstream is plain HTTP on another host: prompts and the key would cross the"
            " network readable.",
            code="configuration",
            hint="write https://; for a service without it, put a TLS proxy beside that service",
        )
    return url


def check_bind(host: str, tls: bool) -> None:
    """Refuses plain HTTP on an address that others can reach.

    Raises:
        InputError: `host` is not loopback and there is no TLS.
    """
    if tls or is_loopback(host):
        return
    raise InputError(
        f"Plain HTTP on {host} is refused: prompts and keys would cross the network readable.",
        code="configuration",
        hint="give --tls-cert and --tls-key, or bind to 127.0.0.1",
    )
