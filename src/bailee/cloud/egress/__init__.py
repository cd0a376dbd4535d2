"""The egress proxy: the only way from a cloud session to the network.

    proxy = EgressProxy(
        Rules.of("trusted", allow=["*.example.org"], deny=["gist.github.com"]),
        record=write_down,                # called with an EgressRecord for each connection
        end=lambda reason: ...,           # called once, with End.EGRESS, after too many violations
        dialer=Dialer(private=[...]),     # operator's: what may be reached although not public
        budgets=Budgets(sent=1 << 28),    # and every other limit
        violations=100,
    )
    services = {"egress": proxy.serve}

`proxy.serve(reader, writer)` serves one stream of a machine's channel; `proxy.connection` makes the
protocol of a listener's. One `EgressProxy` is one session: budgets and violations are counted over
all its streams. `record` and `end` are called in the event loop and must not block. With an
account's own lists, the rules come from `NetworkLists.rules(account, level, allow=..., deny=...)`
(`lists.py`). The order of checks is in `outbound/forwarding`, the rules in `rules.py`, what
`trusted` means in `trusted.py`.

Rows: C3.
"""

from bailee.cloud.egress.proxy import EgressProxy
from bailee.cloud.egress.rules import EgressRules, Level, Pattern
from bailee.cloud.egress.trusted import TRUSTED
from bailee.outbound.forwarding.budgets import Budgets
from bailee.outbound.forwarding.records import ConnectionOutcome, EgressRecord

__all__ = [
    "TRUSTED",
    "Budgets",
    "ConnectionOutcome",
    "EgressProxy",
    "EgressRecord",
    "EgressRules",
    "Level",
    "Pattern",
]
