"""What can go wrong, who must act, and how each error looks from outside.

Rules kept here:

* Six families say who must act: the caller (`InputError`), the policy's owner
  (`PolicyDenied`), whoever runs the upstream (`UpstreamError`), whoever guards the stored
  bytes (`IntegrityError`), whoever runs the disks and databases (`StorageError`), whoever runs
  the hosts of cloud sessions (`MachineError`).
* One table, `CODES`, maps a code to its HTTP status, its Messages API error type and its
  exit status. A code that is not in the table can't be raised.
* An error never holds session content, a key or a token: messages are written from names,
  numbers and places only.
"""

from __future__ import annotations

from typing import ClassVar, Final

from bailee.records import dataclass


@dataclass(frozen=True, slots=True)
class Code:
    """How one error code looks from outside.

    `http_status` and `api_type` follow the Messages API's error shape; `exit_status` is what
    the command line ends with (2 bad input, 3 refused by policy, 4 upstream, 5 integrity,
    6 storage, 8 machines, 1 anything else).
    """

    http_status: int
    api_type: str
    exit_status: int
    meaning: str


CODES: Final[dict[str, Code]] = {
    # InputError: the caller must act
    "invalid_request": Code(
        400, "invalid_request_error", 2, "The request or argument is malformed."
    ),
    "authentication": Code(
        401, "authentication_error", 2, "No key, an unknown key or a revoked key."
    ),
    "groups_unknown": Code(
        403, "permission_error", 2, "The provider does not say which groups a person is in."
    ),
    "forbidden": Code(403, "permission_error", 2, "The key is good but may not do this."),
    "not_found": Code(404, "not_found_error", 2, "There is nothing under this name or address."),
    "method_not_allowed": Code(405, "invalid_request_error", 2, "The address has no such method."),
    "upgrade_required": Code(
        426, "invalid_request_error", 2, "The gateway speaks HTTP here, and no other protocol."
    ),
    "request_timeout": Code(408, "invalid_request_error", 2, "The request did not arrive in time."),
    "request_too_large": Code(413, "request_too_large", 2, "The request is over the size limit."),
    "headers_too_large": Code(
        431, "invalid_request_error", 2, "The request's head is over the size limit."
    ),
    "too_many_attempts": Code(
        429, "rate_limit_error", 2, "There were too many attempts; wait before the next."
    ),
    "idempotency_key": Code(
        409,
        "invalid_request_error",
        2,
        "The idempotency key is another request's, or it is not known how this one ended.",
    ),
    "changed_meanwhile": Code(
        409, "invalid_request_error", 2, "Something else was decided meanwhile; look again."
    ),
    "over_share": Code(
        429, "rate_limit_error", 2, "The account or key has as much under way as it may."
    ),
    "over_quota": Code(
        429,
        "rate_limit_error",
        2,
        "There is as much on disk, or as many keys, as may be; waiting frees none.",
    ),
    "usage_limit": Code(
        429, "billing_error", 3, "A limit of the day, week or month is reached; waiting is long."
    ),
    "usage_rate": Code(429, "rate_limit_error", 3, "A limit of the minute is reached."),
    "usage_unknown": Code(
        429, "billing_error", 6, "It can't be told whether a request is within its limits."
    ),
    "model_not_allowed": Code(
        403, "permission_error", 3, "The model is not among those that may be asked."
    ),
    "not_set_up": Code(
        409, "invalid_request_error", 2, "This server is not set up for it; trying again is no use."
    ),
    "configuration": Code(500, "api_error", 2, "A setting, file or switch is wrong."),
    "home_in_use": Code(500, "api_error", 2, "Another process is using this home."),
    "policy_document": Code(400, "invalid_request_error", 1, "The policy document is not sound."),
    # PolicyDenied: the policy's owner decides
    "policy_denied": Code(403, "permission_error", 3, "The policy does not allow it."),
    "not_recorded": Code(
        503,
        "overloaded_error",
        3,
        "It can't be recorded, and the policy refuses to serve it so.",
    ),
    "unconfirmed": Code(
        503,
        "overloaded_error",
        3,
        "The databases have been away for longer than the policy lets requests go on.",
    ),
    # UpstreamError: whoever runs the upstream
    "upstream_unreachable": Code(502, "api_error", 4, "The upstream took no connection."),
    "upstream_proxy": Code(
        502, "api_error", 4, "The proxy on the way to the upstream failed or refused."
    ),
    "upstream_protocol": Code(
        502, "api_error", 4, "The upstream's answer is not valid HTTP, or is a redirect."
    ),
    "upstream_closed": Code(502, "api_error", 4, "The upstream closed before its answer ended."),
    "upstream_timeout": Code(504, "timeout_error", 4, "The upstream was silent for too long."),
    "upstream_credential": Code(502, "api_error", 4, "No credential for the upstream."),
    # IntegrityError: stored bytes are not what was written
    "tampered": Code(500, "api_error", 5, "Stored bytes do not authenticate."),
    "key_destroyed": Code(410, "not_found_error", 5, "The key of this content has been destroyed."),
    "home_parts": Code(
        500, "api_error", 5, "Parts of a home are missing, older, or of another home."
    ),
    "schema": Code(500, "api_error", 5, "A store has a schema this version does not know."),
    # StorageError: whoever runs the disks and databases
    "storage": Code(503, "overloaded_error", 6, "A store can't be read or written."),
    "root_unreachable": Code(
        503, "overloaded_error", 6, "The service that holds the root key fails or refuses."
    ),
    "standby_behind": Code(
        503, "overloaded_error", 6, "A standby of the database of keys lacks what was written last."
    ),
    "outdated": Code(
        503,
        "overloaded_error",
        6,
        "Which keys are good and what the policy says has not been confirmed for too long.",
    ),
    "overloaded": Code(529, "overloaded_error", 6, "Too much is waiting; try again later."),
    "draining": Code(503, "overloaded_error", 6, "The server is about to stop; send it again."),
    # MachineError: whoever runs the hosts of cloud sessions
    "no_machine": Code(503, "overloaded_error", 8, "No virtual machine can be started here."),
    "no_room": Code(529, "overloaded_error", 8, "There are as many cloud sessions as may be."),
    "no_server": Code(503, "overloaded_error", 8, "A cloud session needs a server that runs."),
    "machine_ended": Code(500, "api_error", 8, "The virtual machine ended before its work did."),
    "internal": Code(500, "api_error", 1, "A defect in bailee."),
}


class BaileeError(Exception):
    """An error with a `code` of `CODES`, a `message` that says what happened, and a `hint`
    that says what to do. Neither holds content, keys or tokens.
    """

    default_code: ClassVar[str] = "internal"

    def __init__(self, message: str, *, code: str | None = None, hint: str | None = None) -> None:
        self.code: Final[str] = code or self.default_code
        if self.code not in CODES:
            raise ValueError(f"unknown error code {self.code!r}")
        self.message: Final[str] = message
        self.hint: Final[str | None] = hint
        super().__init__(message)

    @property
    def http_status(self) -> int:
        """The HTTP status this error answers with."""
        return CODES[self.code].http_status

    @property
    def exit_status(self) -> int:
        """The exit status the command line ends with."""
        return CODES[self.code].exit_status

    def api_body(self, request_id: str | None = None) -> dict[str, object]:
        """The error in the Messages API's own shape, so that clients show it properly."""
        text = self.message if self.hint is None else f"{self.message} hint: {self.hint}"
        body: dict[str, object] = {
            "type": "error",
            "error": {"type": CODES[self.code].api_type, "message": f"bailee: {text}"},
        }
        if request_id is not None:
            body["request_id"] = request_id
        return body


class InputError(BaileeError):
    """The caller must act: a wrong argument, request, file or key."""

    default_code = "invalid_request"


class PolicyDenied(BaileeError):
    """The policy says no; only its owner can change that."""

    default_code = "policy_denied"


class UpstreamError(BaileeError):
    """The model's service failed; whoever runs it must act."""

    default_code = "upstream_unreachable"


class IntegrityError(BaileeError):
    """Stored bytes are not what was written, or their key is gone."""

    default_code = "tampered"


class StorageError(BaileeError):
    """A disk, database or object store failed; whoever runs it must act."""

    default_code = "storage"


class MachineError(BaileeError):
    """A virtual machine could not be started, or is gone; whoever runs its host must act."""

    default_code = "machine_ended"
