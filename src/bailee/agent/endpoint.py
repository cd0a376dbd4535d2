"""Where the model is, as the variables say that people know, and what can happen on the way there.

* `ANTHROPIC_BASE_URL`, `ANTHROPIC_AUTH_TOKEN`, `ANTHROPIC_API_KEY`, `ANTHROPIC_CUSTOM_HEADERS`;
  `CLAUDE_CODE_USE_BEDROCK`, `CLAUDE_CODE_USE_VERTEX` with `ANTHROPIC_BEDROCK_BASE_URL`,
  `ANTHROPIC_VERTEX_BASE_URL` and `CLAUDE_CODE_SKIP_BEDROCK_AUTH`, `CLAUDE_CODE_SKIP_VERTEX_AUTH`
  for a gateway in between.
* Whatever happens to a connection is a `ModelFault`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import field
from typing import Final, Literal

from bailee.agent.faults import Fault, ModelFault
from bailee.client.signed_in import SIGN_IN_FILE
from bailee.errors import InputError
from bailee.records import dataclass

Provider = Literal["api", "bedrock", "vertex"]
MODELS: Final[dict[Provider, str]] = {
    "api": "claude-sonnet-4-5",
    "bedrock": "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "vertex": "claude-sonnet-4-5@20250929",
}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where requests go. `key` goes as `x-api-key`, `token` as `Authorization: Bearer`, `headers`
    (`ANTHROPIC_CUSTOM_HEADERS`) as they are. `signed_in`: the token lasts an hour, and is renewed
    where it lies, in this file.
    """

    provider: Provider
    base_url: str | None
    key: str | None = field(repr=False)
    token: str | None = field(repr=False)
    skip_auth: bool = False
    region: str | None = None
    project: str | None = None
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    signed_in: str | None = None


def endpoint(environment: Mapping[str, str]) -> Endpoint:
    """What the environment says.

    Raises:
        InputError: it names two providers, or no credential.
    """
    get = environment.get
    bedrock, vertex = get("CLAUDE_CODE_USE_BEDROCK"), get("CLAUDE_CODE_USE_VERTEX")
    key, token = get("ANTHROPIC_API_KEY") or None, get("ANTHROPIC_AUTH_TOKEN") or None
    if bedrock and vertex:
        raise InputError(
            "CLAUDE_CODE_USE_BEDROCK and CLAUDE_CODE_USE_VERTEX are both set.",
            code="configuration",
            hint="unset one",
        )
    if bedrock:
        return Endpoint(
            "bedrock",
            get("ANTHROPIC_BEDROCK_BASE_URL") or None,
            None,
            token,
            bool(get("CLAUDE_CODE_SKIP_BEDROCK_AUTH")),
            get("AWS_REGION") or get("AWS_DEFAULT_REGION") or "us-east-1",
        )
    if vertex:
        return Endpoint(
            "vertex",
            get("ANTHROPIC_VERTEX_BASE_URL") or None,
            None,
            token,
            bool(get("CLAUDE_CODE_SKIP_VERTEX_AUTH")),
            get("CLOUD_ML_REGION") or "us-east5",
            get("ANTHROPIC_VERTEX_PROJECT_ID") or get("GOOGLE_CLOUD_PROJECT") or None,
        )
    if key is None and token is None:
        raise InputError(
            "there is no key for the model.",
            code="authentication",
            hint="set ANTHROPIC_AUTH_TOKEN, and ANTHROPIC_BASE_URL for a gateway; "
            "`bailee up` prints both; or sign in: bailee login",
        )
    lines = (line.partition(":") for line in get("ANTHROPIC_CUSTOM_HEADERS", "").split("\n"))
    more = tuple((name.strip(), value.strip()) for name, colon, value in lines if colon)
    for variable, sent in (
        ("ANTHROPIC_AUTH_TOKEN", token or ""),
        ("ANTHROPIC_API_KEY", key or ""),
        ("ANTHROPIC_CUSTOM_HEADERS", "".join(name + value for name, value in more)),
    ):
        if not (sent.isascii() and sent.isprintable()):
            raise InputError(
                f"{variable} holds what can't be sent as a header.",
                code="configuration",
                hint="is a line's end or a sign of another script in it?",
            )
    base = get("ANTHROPIC_BASE_URL") or None
    return Endpoint(
        "api", base, None if token else key, token, headers=more, signed_in=get(SIGN_IN_FILE)
    )


def address_of(at: Endpoint) -> str:
    """Where the requests of an endpoint go. Pure."""
    if at.base_url is not None:
        return at.base_url
    if at.provider == "bedrock":
        return f"https://bedrock-runtime.{at.region}.amazonaws.com"
    if at.provider == "vertex":
        where = "" if at.region == "global" else f"{at.region}-"
        return f"https://{where}aiplatform.googleapis.com"
    return "https://api.anthropic.com"


@contextmanager
def network_faults(lost: Fault) -> Iterator[None]:
    """What happens to connections, as faults. `lost`: what one is that ends before its time.

    Raises:
        InputError: code `configuration`; there can be no such request.
    """
    import httpx2

    try:
        yield
    except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.ProxyError) as error:
        raise ModelFault("unreachable", _plain(error)) from None
    except httpx2.TimeoutException:
        raise ModelFault("silent") from None
    except (httpx2.InvalidURL, httpx2.UnsupportedProtocol, httpx2.LocalProtocolError) as error:
        raise unsendable(_plain(error)) from None
    except (httpx2.HTTPError, OSError) as error:
        raise ModelFault(lost, _plain(error)) from None


def unsendable(why: str) -> InputError:
    """There can be no such request: of what the environment says."""
    return InputError(
        "a request to the model can't be made from the environment.",
        code="configuration",
        hint=f"look at ANTHROPIC_BASE_URL and ANTHROPIC_CUSTOM_HEADERS ({why})",
    )


def _plain(error: Exception) -> str:
    """What a library says of a connection: bytes that came are cut off."""
    return str(error).partition("\n")[0].partition(": bytearray")[0][:200]
