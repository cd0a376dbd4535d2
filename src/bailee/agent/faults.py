"""Every way in which a request to the model can fail, and what is done about each. Pure.

One table, `RULES`: how often the request is made, what is waited between, which error code (and so
which exit status) it ends with, and what the person can do. Rules kept here:

* Whatever a network, a proxy or a service does is one of `Fault`; `of_answer` finds it from what
  was answered. There is no way past the table.
* A service that names its own delay is waited for exactly so long, up to `LONGEST`; one that asks
  for more is not waited for: the turn ends and says when to come back.
* A request that is refused for one part of it goes on without that part (`remedy`): what was
  accepted before can't be at fault, so the newest goes first.

Rows: D1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, Literal

from bailee.errors import CODES, BaileeError, InputError, UpstreamError
from bailee.records import dataclass

Fault = Literal[
    "unreachable",
    "silent",
    "broke_off",
    "unreadable",
    "busy",
    "overloaded",
    "failing",
    "given_up",
    "redirected",
    "key",
    "forbidden",
    "unknown",
    "too_long",
    "refused",
]
NO_HEADERS: Final[Mapping[str, str]] = {}
LONGEST: Final = 300.0  # seconds that are waited because a service says so
_FIRST: Final = 0.5  # seconds; each further wait is twice as long
_MOST: Final = 16.0


@dataclass(frozen=True, slots=True)
class Rule:
    """What is done about a fault. `tries`: requests in all; `code`: of `bailee.errors`; `says`:
    what happened, in which `{said}` is the service's own words.
    """

    tries: int
    code: str
    says: str
    hint: str


RULES: Final[Mapping[Fault, Rule]] = {
    "unreachable": Rule(
        4, "upstream_unreachable", "the model's service can't be reached{said}.",
        "is ANTHROPIC_BASE_URL right, and is a proxy needed?",
    ),
    "silent": Rule(
        2, "upstream_timeout", "the model was silent for too long.", "try again later",
    ),
    "broke_off": Rule(
        4, "upstream_closed", "the model's answer broke off before its end{said}.",
        "try again; if it stays so, look at what is between here and the service",
    ),
    "unreadable": Rule(
        2, "upstream_protocol", "what answers is not the model's service{said}.",
        "is ANTHROPIC_BASE_URL right? a sign-in page or a proxy may answer in its place",
    ),
    "busy": Rule(
        6, "upstream_protocol", "the model's service takes no more for now{said}.",
        "try again later",
    ),
    "overloaded": Rule(
        6, "upstream_protocol", "the model's service is overloaded{said}.", "try again later",
    ),
    "failing": Rule(
        4, "upstream_protocol", "the model's service fails{said}.", "try again later",
    ),
    "given_up": Rule(
        1, "upstream_protocol", "the model's service fails{said}.",
        "the service says that trying again does not help",
    ),
    "redirected": Rule(
        1, "upstream_protocol", "the model's service points to another address{said}.",
        "redirects are not followed: set ANTHROPIC_BASE_URL to where it points",
    ),
    "key": Rule(
        1, "authentication", "the model's service refuses the key{said}.",
        "is the key (ANTHROPIC_AUTH_TOKEN, ANTHROPIC_API_KEY) for this address?",
    ),
    "forbidden": Rule(
        1, "forbidden", "the model's service refuses the key{said}.",
        "is the key (ANTHROPIC_AUTH_TOKEN, ANTHROPIC_API_KEY) for this address?",
    ),
    "unknown": Rule(
        1, "not_found", "the model's service does not know this{said}.",
        "is the model's name right? --model names another",
    ),
    "too_long": Rule(
        1, "request_too_large", "the conversation is too long{said}.",
        "begin a new session, or one with less in it",
    ),
    "refused": Rule(
        1, "invalid_request", "the model's service refuses the request{said}.",
        "the session is kept; another --model may take it",
    ),
}  # fmt: skip

_BY_STATUS: Final[Mapping[int, Fault]] = {
    401: "key", 403: "forbidden", 404: "unknown", 405: "unknown", 407: "unreachable",
    408: "failing", 409: "failing", 413: "too_long", 429: "busy", 503: "overloaded",
    529: "overloaded",
}  # fmt: skip
_BY_TYPE: Final[Mapping[str, Fault]] = {
    "authentication_error": "key",
    "permission_error": "forbidden",
    "not_found_error": "unknown",
    "request_too_large": "too_long",
    "invalid_request_error": "refused",
    "billing_error": "refused",
    "rate_limit_error": "busy",
    "overloaded_error": "overloaded",
    "validationexception": "refused",
    "throttlingexception": "busy",
    "modelnotreadyexception": "overloaded",
    "serviceunavailableexception": "overloaded",
}
"""Of an error within a stream, which has no status; names of Bedrock's in small letters."""
_TOO_LONG: Final = re.compile(
    r"(prompt|input|request|conversation) is too (long|large)|too many (input |total )?tokens"
    r"|context (length|size|limit|window)|maximum context|exceed\w* (the )?(max\w* )?context",
    re.IGNORECASE,
)


class ModelFault(Exception):
    """A request failed. `said`: the service's own words, without content or keys; `after`: seconds
    after which the service wants to be asked again. A `ports.Model` raises it, and the agent goes
    by `RULES`.
    """

    def __init__(self, fault: Fault, said: str = "", *, after: float | None = None) -> None:
        self.fault: Final[Fault] = fault
        self.said: Final = " ".join(said.split())[:500]
        self.after: Final = after
        super().__init__(fault)

    @property
    def why(self) -> str:
        """What happened, as a sentence."""
        said = self.said.rstrip(".")
        return RULES[self.fault].says.format(said=f": {said}" if said else "")

    @property
    def error(self) -> BaileeError:
        """The error that a turn ends with."""
        rule = RULES[self.fault]
        family = UpstreamError if CODES[rule.code].exit_status == 4 else InputError
        hint = rule.hint
        if self.after is not None and self.after > LONGEST:
            hint = f"the service wants to be asked again in {duration(self.after)}, not before"
        return family(self.why, code=rule.code, hint=hint)


def wait(fault: ModelFault, attempt: int, drawn: float) -> float | None:
    """Seconds before the request is made again; None: it is not. `attempt`: how often it was made,
    from 1; `drawn`: from 0 to 1, so that many who failed together don't come back together.
    """
    if attempt >= RULES[fault.fault].tries:
        return None
    if fault.after is not None and fault.after > 0:
        return fault.after if fault.after <= LONGEST else None
    return min(_MOST, _FIRST * 2.0 ** (attempt - 1)) * (1 - 0.25 * drawn)


def of_answer(
    status: int | None,
    kind: str,
    said: str,
    headers: Mapping[str, str] = NO_HEADERS,
    now: datetime | None = None,
) -> ModelFault:
    """What a service's error means. `status` None: it came within a stream. `kind`: the error's
    type; names of `headers` are in small letters; `now`: what a date in them is compared with.
    """
    after = retry_after(headers, now)
    fault: Fault
    if status is None:
        fault = _BY_TYPE.get(kind.lower(), "failing")
    elif 300 <= status < 400:
        fault = "redirected"
    elif status < 300:
        fault = "unreadable"
    else:
        fault = _BY_STATUS.get(status, "failing" if status >= 500 else "refused")
    if fault in ("refused", "failing") and _TOO_LONG.search(said):
        fault = "too_long"
    again = headers.get("x-should-retry")
    if again == "false" and RULES[fault].tries > 1:
        fault = "given_up"
    elif again == "true" and RULES[fault].tries == 1:
        fault = "failing"
    return ModelFault(fault, said or (f"status {status}" if status else ""), after=after)


def retry_after(headers: Mapping[str, str], now: datetime | None) -> float | None:
    """The delay that a service names, in seconds: `retry-after-ms`, or `retry-after` in seconds or
    as a date (RFC 9110, 10.2.3). None: it names none that can be understood.
    """
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name, "").strip()
        if re.fullmatch(r"\d{1,12}(\.\d{1,6})?", value, re.ASCII):
            return float(value) * unit
    if now is None or not headers.get("retry-after"):
        return None
    try:
        import email.utils  # seldom needed, and slow to import

        at = email.utils.parsedate_to_datetime(headers["retry-after"])
        return max(0.0, (at - now).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return None


def duration(seconds: float) -> str:
    """A time as a person says it."""
    for unit, name in ((3600, "hours"), (60, "minutes")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} seconds"


# -- going on without what is refused -------------------------------------------------------------

Part = Literal["images", "thinking"]


@dataclass(frozen=True, slots=True)
class Without:
    """What the next request goes on without: a tool by its name, or a kind of block."""

    tool: str | None = None
    part: Part | None = None


_TOOL: Final = re.compile(r"\btools\.(\d{1,4})\b")
_PARTS: Final[Mapping[Part, re.Pattern[str]]] = {
    "thinking": re.compile(r"\bthinking\b.*\b(signature|block)|\bsignature\b", re.IGNORECASE),
    "images": re.compile(r"\b(image|media_type|document|pdf)", re.IGNORECASE),
}


def remedy(said: str, tools: Sequence[str]) -> Without | None:
    """What a request may be refused for, by the service's own words; None: nothing that could be
    taken out. `tools`: names, in the order in which they were sent.
    """
    if (found := _TOOL.search(said)) and int(found[1]) < len(tools):
        return Without(tool=tools[int(found[1])])
    return next((Without(part=part) for part, like in _PARTS.items() if like.search(said)), None)
