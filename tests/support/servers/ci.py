"""A CI provider on loopback, which signs tokens for jobs: GitHub's shape, with keys of its own."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from joserfc.jwk import ECKey, RSAKey

OURS = RSAKey.generate_key(2048, {"kid": "one"})
CURVED = ECKey.generate_key("P-256", {"kid": "two"})


class Ci:
    """A CI provider on loopback: its metadata and keys, and how often it was asked for these."""

    def __init__(self) -> None:
        ci = self
        self.keys: list[Any] = [OURS, CURVED]
        self.asked = 0
        self.away = False

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path == "/keys":
                    ci.asked += 1
                body = json.dumps(ci._answers()[self.path]).encode()
                self.send_response(503 if ci.away else 200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def _answers(self) -> Mapping[str, object]:
        return {
            "/.well-known/openid-configuration": {
                "issuer": self.issuer,
                "jwks_uri": f"{self.issuer}/keys",
            },
            "/keys": {"keys": [one.as_dict(private=False) for one in self.keys]},
        }

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()
