"""An error event as a payload: an envelope of Sentry's SDK, whose transport is this module.

Rules kept here:

* The event is made of an `ErrorEvent` and a `Resource`, which passed the guard. What the SDK adds
  to it (host name, environment, modules, its own version) is taken out again by putting the event
  as it was given in its place, whatever the SDK's version adds.
* The SDK's integrations, which hook into the program and gather, are all off; no address is set,
  and no variable of the SDK's (`SENTRY_DSN`, `SENTRY_SPOTLIGHT`) sets one.
* An envelope holds one event, and its head an id and a time; else it is an error.

The SDK is imported when the first payload is made. Standard: Sentry envelopes.
Rows: S2.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from bailee.client.declared import ErrorEvent, Resource
from bailee.client.payloads import Payload
from bailee.errors import IntegrityError

if TYPE_CHECKING:
    from sentry_sdk.envelope import Envelope

# Named in full, so that no variable of the SDK's and no default of a later version decides.
_OFF: Final[dict[str, Any]] = {
    "dsn": "",
    "spotlight": False,
    "default_integrations": False,
    "auto_enabling_integrations": False,
    "integrations": [],
    "include_local_variables": False,
    "include_source_context": False,
    "attach_stacktrace": False,
    "auto_session_tracking": False,
    "enable_backpressure_handling": False,
    "send_client_reports": False,
    "max_breadcrumbs": 0,
    "server_name": "",
    "environment": "",
    "release": "",
    "debug": False,
    "sample_rate": 1.0,
}


def error(event: ErrorEvent, resource: Resource, *, at: datetime, event_id: str) -> Payload:
    """The payload. `event_id`: 32 hexadecimal digits, random.

    Raises:
        IntegrityError: the SDK added something to the envelope.
    """
    from sentry_sdk import Client
    from sentry_sdk.transport import Transport

    envelopes: list[Envelope] = []

    class _IntoTheOutbox(Transport):
        def capture_envelope(self, envelope: Envelope) -> None:
            envelopes.append(envelope)

    given = content(event, resource, at=at, event_id=event_id)
    options = {**_OFF, "transport": _IntoTheOutbox(), "before_send": lambda *_: dict(given)}
    client: Any = Client(**options)
    client.capture_event(dict(given))
    client.close(timeout=0)
    if len(envelopes) != 1:
        raise IntegrityError("The error event did not become one envelope; nothing is sent.")
    (envelope,) = envelopes
    envelope.headers["sent_at"] = at.isoformat(timespec="seconds")
    items = [item.payload.json for item in envelope.items]
    if set(envelope.headers) != {"event_id", "sent_at"} or items != [given]:
        raise IntegrityError(
            "The envelope holds something that was not declared; nothing of it is sent.",
            hint="is another version of sentry-sdk installed?",
        )
    return Payload(
        "errors", "/api/1/envelope/", "application/x-sentry-envelope", envelope.serialize()
    )


def content(
    event: ErrorEvent, resource: Resource, *, at: datetime, event_id: str
) -> dict[str, object]:
    """The event as the protocol writes it, without an envelope round it."""
    fields, about = event.fields, resource.fields
    frames = [
        {"module": f.get("module"), "function": f.get("function"), "lineno": f.get("line")}
        for f in event.frames
    ]
    handled = fields.get("handled", False)
    return {
        "event_id": event_id,
        "timestamp": at.isoformat(timespec="seconds"),
        "platform": "python",
        "level": "warning" if handled else "error",
        "release": f"{about['service.name']}@{about['service.version']}",
        "tags": {name: str(value) for name, value in about.items()},
        "exception": {
            "values": [
                {
                    "type": fields.get("exception"),
                    "mechanism": {"type": "generic", "handled": handled},
                    "stacktrace": {"frames": frames},
                }
            ]
        },
    }
