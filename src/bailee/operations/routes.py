"""Where each operation is under `/api/v1`: the table of contents of the HTTP API.

It imports nothing of what carries them out, so that a command can reach a server far away by it.
What stands in braces is an argument by that name; a GET or DELETE takes the others in its query,
the rest take them in a JSON object. `me` in the place of an `id` is whoever asks, where an
operation can do without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

BASE: Final = "/api/v1"
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]


class Route(NamedTuple):
    """`path` begins below `/api/v1`. `lines`: what it gives are lines of text, and go out so.
    `content`: it gives content, for which the operator gives a `reason` where it is another's.
    """

    method: Method
    path: str
    lines: bool = False
    content: bool = False

    @property
    def in_address(self) -> bool:
        """Whether its arguments stand in the address."""
        return self.method in ("GET", "DELETE")


ROUTES: Final[Mapping[str, Route]] = {
    # People and organisations
    "person.list": Route("GET", "/people"),
    "person.create": Route("POST", "/people"),
    "person.import": Route("POST", "/people/import"),
    "person.show": Route("GET", "/people/{id}"),
    "person.export": Route("GET", "/people/{id}/export"),
    "person.erase": Route("DELETE", "/people/{id}"),
    "person.password": Route("PUT", "/password"),
    "sign_ins.list": Route("GET", "/people/{id}/sign-ins"),
    "sign_ins.end": Route("DELETE", "/people/{id}/sign-ins"),
    "person.trainer": Route("PUT", "/people/{id}/trainer"),
    "person.auditor": Route("PUT", "/people/{id}/auditor"),
    "organisation.list": Route("GET", "/organisations"),
    "organisation.create": Route("POST", "/organisations"),
    "organisation.show": Route("GET", "/organisations/{organisation}"),
    "organisation.member": Route("PUT", "/organisations/{organisation}/members/{person}"),
    "organisation.remove_member": Route("DELETE", "/organisations/{organisation}/members/{person}"),
    "organisation.provider": Route("PUT", "/organisations/{organisation}/provider"),
    "organisation.key_days": Route("PUT", "/organisations/{organisation}/keys/days"),
    "organisation.provider_only": Route("PUT", "/organisations/{organisation}/provider/only"),
    "organisation.policy": Route("GET", "/organisations/{organisation}/policy"),
    "organisation.policy_set": Route("PUT", "/organisations/{organisation}/policy"),
    "organisation.policy_remove": Route("DELETE", "/organisations/{organisation}/policy"),
    "organisation.policy_try": Route("POST", "/organisations/{organisation}/policy/trials"),
    "organisation.policy_explain": Route(
        "POST", "/organisations/{organisation}/policy/explanations"
    ),
    "organisation.groups": Route("GET", "/organisations/{organisation}/groups"),
    "organisation.set_groups": Route("PUT", "/organisations/{organisation}/groups"),
    "organisation.try_groups": Route("POST", "/organisations/{organisation}/groups/trials"),
    "workload.list": Route("GET", "/organisations/{organisation}/service-accounts"),
    "workload.add": Route("POST", "/organisations/{organisation}/service-accounts"),
    "workload.remove": Route("DELETE", "/service-accounts/{id}"),
    "scim.list": Route("GET", "/organisations/{organisation}/scim-tokens"),
    "scim.add": Route("POST", "/organisations/{organisation}/scim-tokens"),
    "scim.remove": Route("DELETE", "/scim-tokens/{id}"),
    "partner.join": Route("PUT", "/organisations/{organisation}/partner-programme"),
    "partner.leave": Route("DELETE", "/organisations/{organisation}/partner-programme"),
    # A person's own choice
    "privacy.show": Route("GET", "/privacy/training"),
    "privacy.choose": Route("PUT", "/privacy/training"),
    "privacy.history": Route("GET", "/privacy/training/history"),
    "privacy.exports": Route("GET", "/privacy/training/exports"),
    # Training exports
    "training.exports": Route("GET", "/training/exports"),
    # Accounts and keys
    "account.list": Route("GET", "/accounts"),
    "account.show": Route("GET", "/accounts/{id}"),
    "account.allow": Route("PUT", "/accounts/{account}/routes"),
    "account.keeping": Route("PUT", "/accounts/{account}/keeping"),
    "account.limit": Route("PUT", "/accounts/{account}/limits"),
    "account.residency": Route("PUT", "/accounts/{account}/residency"),
    "key.list": Route("GET", "/keys"),
    "key.create": Route("POST", "/keys"),
    "key.show": Route("GET", "/key"),
    "key.places": Route("GET", "/key/places"),
    "key.revoke": Route("DELETE", "/keys/{key_id}"),
    # Sessions
    "sessions.list": Route("GET", "/sessions"),
    "sessions.count": Route("GET", "/sessions/count"),
    "sessions.unfiled": Route("GET", "/sessions/unfiled"),
    "sessions.unkept": Route("GET", "/sessions/unkept"),
    "sessions.going": Route("GET", "/sessions/going"),
    "sessions.search": Route("GET", "/sessions/search", content=True),
    "sessions.find": Route("GET", "/sessions/{id}"),
    "sessions.show": Route("GET", "/sessions/{id}/transcript", content=True),
    "sessions.export": Route("GET", "/sessions/{id}/export", lines=True, content=True),
    "sessions.raw": Route("GET", "/sessions/{id}/exchanges/{exchange}/bytes", content=True),
    "sessions.delete": Route("DELETE", "/sessions/{id}"),
    "sessions.may_keep": Route("GET", "/sessions/{id}/keeping"),
    "sessions.keep": Route("PUT", "/sessions/{id}/keeping"),
    "sessions.release": Route("DELETE", "/sessions/{id}/keeping"),
    # Retention, holds, receipts, the audit record
    "retention.run": Route("POST", "/retention/sweeps"),
    "policy.try": Route("POST", "/policy/trials"),
    "policy.closed": Route("GET", "/policy/closed"),
    "policy.activate": Route("POST", "/policy/activations"),
    "policy.activations": Route("GET", "/policy/activations"),
    "policy.notices": Route("GET", "/policy/notices"),
    "policy.seen": Route("PUT", "/policy/notices/{number}"),
    "promises": Route("GET", "/promises"),
    "status": Route("GET", "/status"),
    "retention.watch": Route("GET", "/retention/watch"),
    "retention.report": Route("GET", "/retention/report"),
    "retention.sums": Route("POST", "/retention/sums"),
    "retention.receipts": Route("GET", "/retention/receipts"),
    "receipts.show": Route("GET", "/retention/receipts/{id}"),
    "receipts.proof": Route("GET", "/retention/receipts/{id}/proof"),
    "retention.moves": Route("GET", "/retention/moves"),
    "retention.damaged": Route("GET", "/retention/damaged"),
    "requests.list": Route("GET", "/requests"),
    "requests.open": Route("POST", "/requests"),
    "requests.mine": Route("GET", "/privacy/requests"),
    "requests.show": Route("GET", "/requests/{id}"),
    "requests.inventory": Route("POST", "/requests/{id}/inventory"),
    "requests.hold": Route("POST", "/requests/{id}/holds"),
    "requests.export": Route("GET", "/requests/{id}/export"),
    "requests.erase": Route("POST", "/requests/{id}/erasure"),
    "requests.answer": Route("POST", "/requests/{id}/answer"),
    "requests.extend": Route("POST", "/requests/{id}/extension"),
    "requests.close": Route("POST", "/requests/{id}/closing"),
    "requests.letter": Route("GET", "/requests/{id}/letter"),
    "hold.list": Route("GET", "/holds"),
    "hold.place": Route("POST", "/holds"),
    "hold.release": Route("DELETE", "/holds/{id}"),
    "hold.read": Route("GET", "/holds/{id}/content", lines=True, content=True),
    "receipts.list": Route("GET", "/erasures"),
    "receipts.key": Route("GET", "/erasures/key"),
    "audit.list": Route("GET", "/audit"),
    "audit.show": Route("GET", "/audit/entries/{number}"),
    "audit.checkpoint": Route("GET", "/audit/checkpoint"),
    "audit.witness": Route("POST", "/audit/witnessing"),
    "audit.streams": Route("GET", "/audit/streams"),
    "audit.verify": Route("POST", "/audit/verification"),
    "audit.proof": Route("GET", "/audit/proofs/{id}"),
    # The home
    "verify": Route("POST", "/home/verification"),
    "keyring.rotate": Route("POST", "/keyring/rotations"),
    "backup.list": Route("GET", "/home/backups"),
    "backup.end": Route("DELETE", "/home/backups/keys/{id}"),
    "clock.show": Route("GET", "/clock"),
    "clock.confirm": Route("POST", "/clock/confirmation"),
    # Figures and errors
    "metrics.list": Route("GET", "/metrics"),
    "metrics.query": Route("GET", "/metrics/query"),
    "metrics.summary": Route("GET", "/metrics/summary"),
    "metrics.dropped": Route("GET", "/metrics/dropped"),
    "metrics.destinations": Route("GET", "/metrics/destinations"),
    "errors.list": Route("GET", "/errors"),
    "errors.show": Route("GET", "/errors/{id}"),
    "errors.set": Route("PATCH", "/errors/{id}"),
    # What is used of models, and limits on it
    "usage.show": Route("GET", "/usage"),
    "usage.limits": Route("GET", "/usage/limits"),
    "usage.limit": Route("PUT", "/usage/limits"),
    "usage.unlimit": Route("DELETE", "/usage/limits/{id}"),
    "usage.models": Route("GET", "/usage/models"),
    "usage.allow": Route("PUT", "/usage/models"),
    "increase.ask": Route("POST", "/usage/increases"),
    "increase.list": Route("GET", "/usage/increases"),
    "increase.approve": Route("POST", "/usage/increases/{id}/approval"),
    "increase.deny": Route("POST", "/usage/increases/{id}/denial"),
    # Feedback
    "feedback.list": Route("GET", "/feedback"),
    "feedback.show": Route("GET", "/feedback/{id}", content=True),
    "feedback.set": Route("PATCH", "/feedback/{id}"),
    "feedback.withdraw": Route("DELETE", "/feedback/{id}"),
    "feedback.draft": Route("GET", "/feedback/{id}/issue", content=True),
    "feedback.file": Route("POST", "/feedback/{id}/issue", content=True),
    "survey.results": Route("GET", "/survey"),
    # Cloud sessions
    "cloud.list": Route("GET", "/cloud/sessions"),
    "cloud.start": Route("POST", "/cloud/sessions"),
    "cloud.show": Route("GET", "/cloud/sessions/{id}"),
    "cloud.stop": Route("POST", "/cloud/sessions/{id}/stop"),
    "cloud.send": Route("POST", "/cloud/sessions/{id}/messages"),
    "cloud.attach": Route("GET", "/cloud/sessions/{id}/events", content=True),
    "cloud.logs": Route("GET", "/cloud/sessions/{id}/logs", content=True),
    "cloud.diff": Route("GET", "/cloud/sessions/{id}/diff", content=True),
    "cloud.teleport": Route("GET", "/cloud/sessions/{id}/teleport", content=True),
    "cloud.delete": Route("DELETE", "/cloud/sessions/{id}"),
    "cloud.git.list": Route("GET", "/cloud/git-connections"),
    "cloud.git.add": Route("POST", "/cloud/git-connections"),
    "cloud.git.remove": Route("DELETE", "/cloud/git-connections/{id}"),
    "cloud.network.list": Route("GET", "/cloud/network"),
    "cloud.network.allow": Route("POST", "/cloud/network/allowed"),
    "cloud.network.deny": Route("POST", "/cloud/network/denied"),
    "cloud.network.remove": Route("DELETE", "/cloud/network/{id}"),
}
