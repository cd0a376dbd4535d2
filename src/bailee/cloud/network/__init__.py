"""What both proxies stand on: names and addresses, connecting to what was checked, HTTP/1.1.

`hosts.py` and `addresses.py` are pure: how a host may be written, and which addresses are public.
`dialing.py` resolves, checks every address and connects to one that was checked. `http1.py` reads
and writes HTTP/1.1 over a stream.

Rows: C2, C3.
"""

from bailee.cloud.network.addresses import Address, Network, why_not_public
from bailee.cloud.network.dialing import Dialer, Refused, Resolver, Unreachable, system_resolver
from bailee.cloud.network.hosts import Host, NotAHost, read_authority, read_host, read_port

__all__ = [
    "Address",
    "Dialer",
    "Host",
    "Network",
    "NotAHost",
    "Refused",
    "Resolver",
    "Unreachable",
    "read_authority",
    "read_host",
    "read_port",
    "system_resolver",
    "why_not_public",
]
