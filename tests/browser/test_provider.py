"""Signing in through an organisation: npm `oidc-provider`, and a browser that goes there."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from browser.conftest import Open, Town
from support.clients.node_modules import module

VERSION = "9.13.3"
SCRIPT = Path(__file__).parents[1] / "integration" / "accounts" / "provider.mjs"
ACCOUNTS = {"ina": {"email": "ina@orchard.example", "email_verified": True}}


@pytest.fixture
def provider(town: Town) -> Iterator[None]:
    """A running provider, bound to the town's organisation."""
    folder = module("oidc-provider", VERSION).parents[1]
    script = folder / "provider-of-the-browser.mjs"  # beside its packages, where node looks
    script.write_text(SCRIPT.read_text())
    with subprocess.Popen(
        ["node", str(script)],
        env={
            "PATH": os.environ["PATH"],
            "ACCOUNTS": json.dumps(ACCOUNTS),
            "REDIRECT": town.console + "/sign-in/organisation/return",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        issuer = process.stdout.readline().strip()
        town.bailee.json(
            "organisation", "provider", town.organisation, "--domain", "orchard.example",
            "--issuer", issuer, "--client-id", "bailee", "--secret-env", "ORCHARD_SECRET",
        )  # fmt: skip
        yield
        process.kill()


@pytest.mark.usefixtures("provider")
def test_an_organisations_people_come_in_through_its_provider(town: Town, opened: Open) -> None:
    """There by a click, back by themselves, as a member of the organisation and no more."""
    page = opened("/sign-in")

    page.get_by_text("Sign in through your organisation").click()
    page.get_by_label("Email at your organisation").fill("ina@orchard.example")
    page.get_by_role("button", name="Continue").click()
    page.locator("input[name=login]").fill("ina")
    page.locator("input[name=password]").fill("any")
    page.get_by_role("button").first.click()
    page.get_by_role("button", name="Continue").click()
    page.wait_for_url("**/settings/privacy")

    expect(page.locator(".lede")).to_contain_text("ina@orchard.example")
    page.get_by_role("link", name="Orchard Ltd").click()
    expect(page.locator(".lede")).to_contain_text("Your role: member.")
    expect(page.get_by_text("Only an owner or admin can join")).to_be_visible()


@pytest.mark.usefixtures("provider")
def test_an_answer_that_nobody_asked_for_signs_nobody_in(town: Town, opened: Open) -> None:
    """A link with somebody's code, followed in a browser that was not sent there."""
    page = opened("/sign-in/organisation/return?code=stolen&state=" + "0" * 64)

    expect(page.get_by_role("alert")).to_be_visible()
    page.goto(town.console + "/settings/privacy")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
