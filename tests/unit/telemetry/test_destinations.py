"""Where a flow may be sent: what a setting can say, and what it can't."""

from __future__ import annotations

import pytest

from bailee.errors import InputError
from bailee.telemetry.destinations import destination
from bailee.telemetry.records import ERROR, METRIC, DataClass


@pytest.mark.parametrize(
    ("data_class", "text", "shown"),
    [
        (METRIC, "store", "store"),
        (METRIC, "none", "none"),
        (METRIC, "otlp:https://c.example.com:4318/", "otlp:https://c.example.com:4318"),
        (METRIC, "store otlp:http://127.0.0.1:4318", "store otlp:http://127.0.0.1:4318"),
        (ERROR, "sentry:https://secretkey@s.example.com/base/7", "sentry:https://s.example.com"),
        (ERROR, "otlp:http://localhost:4318 store", "store otlp:http://localhost:4318"),
    ],
)
def test_what_a_setting_can_say(data_class: DataClass, text: str, shown: str) -> None:
    """It is shown without a key."""
    assert shown == destination(data_class, text, "telemetry.x").shown


@pytest.mark.parametrize(
    ("data_class", "text"),
    [
        (METRIC, ""),
        (METRIC, "somewhere"),
        (METRIC, "store none"),
        (METRIC, "store store"),
        (METRIC, "otlp:https://a.example.com otlp:https://b.example.com"),
        (METRIC, "sentry:https://secretkey@s.example.com/1"),
        (METRIC, "otlp:http://c.example.com"),
        (METRIC, "otlp:ftp://127.0.0.1"),
        (METRIC, "otlp:https://user:secretkey@c.example.com"),
        (METRIC, "otlp:https://c.example.com?key=secretkey"),
        (METRIC, "otlp:https://[::1"),
        (METRIC, "otlp:https://c.example.com:port"),
        (ERROR, "sentry:https://s.example.com/1"),
        (ERROR, "sentry:https://secretkey@s.example.com/"),
        (ERROR, "sentry:http://secretkey@s.example.com/1"),
    ],
)
def test_what_a_setting_can_not_say(data_class: DataClass, text: str) -> None:
    """It is refused when the server starts, by name, and no key is repeated."""
    with pytest.raises(InputError, match=r"telemetry\.x") as refused:
        destination(data_class, text, "telemetry.x")

    assert "configuration" == refused.value.code
    assert "secretkey" not in f"{refused.value.message}{refused.value.hint}"


def test_a_dsn_leads_to_its_project() -> None:
    """With its key in the header that the protocol has for it, and in no other place."""
    found = destination(ERROR, "sentry:https://secretkey@s.example.com/base/7", "x").address

    assert found is not None
    assert "https://s.example.com/base/api/7/envelope/" == found.url
    assert "sentry_key=secretkey" in found.headers["x-sentry-auth"]
    assert "secretkey" not in repr(found)
