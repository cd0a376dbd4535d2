"""The gateway: the Messages API (and Bedrock- and Vertex-style paths) in, an upstream out, and what
may be kept of each exchange handed to a recording.

`Gateway` is the whole of it; a request is walked through in `server` (what happens to it),
`client` and `upstream` (the two connections; `way_out` and `tunnel` say by what way the second
goes), `exchange` (what couples them, and how it ends),
`uplink` and `downlink` (what goes each way), `completion` (what of an answer waits for its record)
and `recording` (the record's port). `interpret` reads what was captured.
"""

from bailee.gateway.access import Access, Caller, Passage, Unkept
from bailee.gateway.credentials import ApiKey, Bedrock, Credential, NoCredential, Vertex
from bailee.gateway.origins import Origins
from bailee.gateway.recording import Keeping, NotKept, Recording
from bailee.gateway.server import Gateway
from bailee.gateway.settings import GatewayConfig, Limits, Upstream, check_bind, check_upstream
from bailee.gateway.summary import ExchangeSummary
from bailee.gateway.tls import server_context
from bailee.gateway.way_out import WayOut, proxy_variables

__all__ = [
    "Access",
    "ApiKey",
    "Bedrock",
    "Caller",
    "Credential",
    "ExchangeSummary",
    "Gateway",
    "GatewayConfig",
    "Keeping",
    "Limits",
    "NoCredential",
    "NotKept",
    "Origins",
    "Passage",
    "Recording",
    "Unkept",
    "Upstream",
    "Vertex",
    "WayOut",
    "check_bind",
    "check_upstream",
    "proxy_variables",
    "server_context",
]
