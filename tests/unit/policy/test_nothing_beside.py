"""No setting decides beside the policy document, unless the coverage page says that it does."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Final

import pytest

from bailee.config import SETTINGS
from bailee.policy import bounds

pytestmark = pytest.mark.row("P1")

MISSION: Final = Path(__file__).parents[3] / "docs" / "mission.toml"


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


WHERE: Final = _names(
    """
    gateway.listen gateway.tls_cert gateway.tls_key gateway.url gateway.origins console.listen
    console.url trusted_proxies ingest.listen ingest.url telemetry.webhook feedback.repository
    feedback.github_token_env feedback.github_api telemetry.otlp_authorization_env usage.prices
    usage.ask_at usage.otlp usage.otlp_token_file
    tracing.otlp tracing.otlp_token_file
    upstream.url upstream.key_env upstream.ca_file upstream.client_cert
    upstream.client_key upstream.client_key_passphrase_env upstream.proxy upstream.proxy_login_env
    bedrock.url bedrock.region vertex.url openai.url openai.key_env google.url google.key_env
    azure.url azure.key_env foundry.url foundry.key_env ledger.witnesses policy.document
    keyring.root keyring.token_env keyring.token_file keyring.pin_env keyring.pin_file keyring.url
    database.url keyring.database_url objects.url spool.durability
    cloud.image requests.contact requests.authority holder.url health.listen audit.file audit.syslog
    audit.http audit.http_token_file audit.otlp audit.otlp_token_file audit.webhook
    audit.webhook_kinds audit.webhook_secret_file log.format
    """
)
"""Addresses, files, credentials, and what a thing is to be run on."""

HOW_MUCH: Final = _names(
    """
    gateway.connections gateway.connections_per_address gateway.requests_per_account
    gateway.memory_per_account_mb gateway.spool_per_account_mb gateway.spool_mb
    gateway.unsealed_per_account gateway.unsealed gateway.free_mb gateway.max_request_mb
    gateway.sealing_seconds_per_account
    gateway.max_upload_mb telemetry.rate_per_account_kb telemetry.metrics_per_account
    telemetry.errors_per_account feedback.rate_per_account_kb feedback.reports_per_account
    keys.per_person keys.per_account keys.in_all cloud.capacity cloud.warm cloud.waiting
    cloud.per_account cloud.memory_mb cloud.cpus cloud.disk_mb cloud.processes cloud.minutes
    cloud.idle_minutes cloud.linger_minutes gateway.drain_seconds audit.file_mb audit.file_keep
    tracing.percent
    """
)
"""Bounds of a service on a machine. Past one something is refused; nothing is kept or sent by it
that would not be otherwise.
"""

LESS: Final = _names(
    """
    telemetry.own retention.every_minutes accounts.sign_up accounts.sign_up_plans
    cloud.network cloud.network_allow cloud.network_deny cloud.git_networks cloud.egress_networks
    telemetry.metrics telemetry.errors retention.shred_hours backup.keys_hours
    requests.period requests.further_period
    gateway.stored_per_account_mb telemetry.stored_per_account_mb feedback.stored_per_account_mb
    """
)
"""They can be stricter than what the document or a promise says, and never laxer."""

BESIDE: Final = _names("")
"""They decide something that is the document's to decide: none is left."""


def test_every_setting_is_of_one_kind() -> None:
    """Whoever adds one says here what it is; one that decides about data is a clause instead."""
    kinds = (WHERE, HOW_MUCH, LESS, BESIDE)
    assert {one.name for one in SETTINGS} == frozenset().union(*kinds)
    assert sum(map(len, kinds)) == len(SETTINGS)


def test_what_a_document_bounds_can_only_be_stricter() -> None:
    """Each setting that a bound is of, and its meaning says so."""
    bounded = {*bounds.SETTING_OF.values()}
    assert bounded <= LESS
    meanings = {one.name: " ".join(one.meaning.split()) for one in SETTINGS}
    assert [] == [one for one in bounded if "policy document" not in meanings[one]]


def test_what_is_decided_beside_the_document_is_said_to_be() -> None:
    """Each by its name among what is lacking of P1, and nothing there that is so no more."""
    rows = [
        row for chapter in tomllib.loads(MISSION.read_text())["chapter"] for row in chapter["row"]
    ]
    (lacking,) = [row["lacks"] for row in rows if row["id"] == "P1"]
    named = {one.name for one in SETTINGS if re.search(rf"\b{re.escape(one.name)}\b", lacking)}
    assert BESIDE == named
