"""Requests that a cloud wants signed, its Bedrock or Vertex form, by the vendor's SDK.

The SDK signs, names the cloud's paths and unpacks its streams; retries, the answer and what a fault
means are ours (`faults`, `answers`), as over the Messages API itself.

Rows: D3.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import TYPE_CHECKING, Any, Final

from bailee.agent.endpoint import Endpoint, network_faults
from bailee.agent.faults import ModelFault, of_answer
from bailee.clock import system_clock
from bailee.errors import BaileeError, InputError
from bailee.json_values import JsonObject, members, text, well_formed

if TYPE_CHECKING:
    import anthropic
    import httpx2

_SKIPPED: Final = "skipped"  # where the SDK wants a cloud's credential, and a gateway has its own
_Given = dict[str, Any]
"""What is given to the SDK by name, which has a type of its own for each."""


class CloudClient:
    """The SDK's client for an endpoint, over connections of whoever makes it.

    Raises:
        InputError: the SDK is not installed, or makes no client of the environment.
    """

    def __init__(self, at: Endpoint, headers: Mapping[str, str], http: httpx2.AsyncClient) -> None:
        given: _Given = {
            "default_headers": headers,
            "http_client": http,
            "max_retries": 0,
            "timeout": http.timeout,
        }
        try:
            self._client = (_bedrock if at.provider == "bedrock" else _vertex)(at, given)
        except ImportError:
            raise InputError(
                f"the SDK for {at.provider} is not installed.",
                code="configuration",
                hint='pip install "bailee[agent]"',
            ) from None
        except Exception as error:
            raise InputError(
                "the model's client can't be made from the environment.",
                code="configuration",
                hint=str(error).partition("\n")[0],
            ) from None

    async def events(self, body: JsonObject) -> AsyncGenerator[JsonObject]:
        """The events of one answer.

        Raises:
            ModelFault: there is none, or it breaks off.
            InputError: code `authentication`; there is no credential for the cloud.
        """
        import anthropic

        body, began = well_formed(body), False
        try:
            with network_faults("broke_off"):
                stream = await self._client.messages.create(**body)  # type: ignore[call-overload]
                began = True
                async with stream:
                    async for event in stream:
                        yield members(well_formed(event.to_dict(warnings=False)))
        except (BaileeError, ModelFault):
            raise
        except anthropic.APIStatusError as error:
            raise _fault(error) from None
        except anthropic.APITimeoutError:
            raise ModelFault("silent") from None
        except anthropic.APIConnectionError as error:
            raise ModelFault("unreachable", str(error.__cause__ or "")) from None
        except Exception as error:  # of all that it stands on: parsers, a cloud's own library
            if began:
                raise ModelFault("unreadable", "its answer makes no sense") from None
            raise InputError(
                "the request to the model can't be signed.",
                code="authentication",
                hint=str(error).partition("\n")[0] or type(error).__name__,
            ) from None


def _fault(error: anthropic.APIStatusError) -> ModelFault:
    body = members(error.body)
    said = members(body.get("error")) or body
    # An error within a stream has the stream's status.
    status = None if error.status_code == 200 else error.status_code
    headers = dict(error.response.headers)
    return of_answer(
        status, text(said.get("type")), text(said.get("message")), headers, system_clock()
    )


def _bedrock(at: Endpoint, given: _Given) -> anthropic.AsyncAnthropicBedrock:
    import anthropic

    if at.skip_auth:
        given = {**given, "api_key": at.token or _SKIPPED}
    return anthropic.AsyncAnthropicBedrock(aws_region=at.region, base_url=at.base_url, **given)


def _vertex(at: Endpoint, given: _Given) -> anthropic.AsyncAnthropicVertex:
    import anthropic

    given = {**given, "region": at.region}
    if at.base_url is not None:
        given["base_url"] = at.base_url
    if at.project is not None:
        given["project_id"] = at.project
    if at.skip_auth:
        given["access_token"] = at.token or _SKIPPED
    return anthropic.AsyncAnthropicVertex(**given)
