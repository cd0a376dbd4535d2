"""One request of each kind, as the gateway asks the policy about it."""

from __future__ import annotations

from typing import Final

from bailee.gateway.routes import GatewayRoute

MESSAGES: Final = GatewayRoute("api", b"/v1/messages", "/v1/messages", "conversation")
COUNTING: Final = GatewayRoute("api", b"/v1/messages/count_tokens", "/v1/messages/*", "counting")
MODELS: Final = GatewayRoute("api", b"/v1/models", "/v1/models", "models", method="GET")
FILES: Final = GatewayRoute("api", b"/v1/files?limit=2", "/v1/*", "other", method="GET")
EACH: Final = (MESSAGES, COUNTING, MODELS, FILES)
