"""A workbench whose trade goes wrong where an exchange asks for it. A program of the tests."""

from __future__ import annotations

import json
import os
import time

from bailee.vault.exchange import CapturedExchange
from bailee.vault.interpreted import Interpreted
from bailee.vault.workbench_process import serve


def interpret(exchange: CapturedExchange) -> Interpreted:
    """JSON bodies; the session comes in a header, and what goes wrong in another."""
    headers = dict(exchange.request_headers)
    match headers.get("wrong"):
        case "end":
            os._exit(9)
        case "hang":
            time.sleep(600)
        case "memory":
            bytearray(1 << 40)
    body = json.loads(exchange.request)
    messages = body.pop("messages", None)
    return Interpreted(client_session=headers.get("session"), fields=body, messages=messages)


if __name__ == "__main__":
    serve(interpret)
