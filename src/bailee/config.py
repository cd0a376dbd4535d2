"""Settings: what can be set, where each value came from, and the refusal of what isn't one.

A value comes from the first of: the command line, the environment, `bailee.toml` in the home,
the default. `Settings.origin` says which, for every setting. An unknown name or a value that is
not of its kind is refused with the place where it stands: a typing error in a file about privacy
must not quietly mean something else.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bailee.errors import InputError
from bailee.policy.declaring import FurtherUpstream, declared, further_ones
from bailee.policy.reaching import UpstreamTerms


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: `name` as in `bailee.toml` (`table.key`), its kind, default and meaning.

    Its environment variable is the name in capitals with `BAILEE_` before it
    (`gateway.listen` is `BAILEE_GATEWAY_LISTEN`), unless `environment` names another.
    """

    name: str
    kind: type[str] | type[int]
    default: str | int | None
    meaning: str
    most: int = 1_000_000
    least: int = 1
    environment: str | None = None

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return self.environment or "BAILEE_" + self.name.upper().replace(".", "_")


UPSTREAM_TABLES: Final = ("upstream", "bedrock", "vertex", "openai", "google", "azure", "foundry")
"""Tables of `bailee.toml` that name an upstream, and can declare its terms (`policy.declaring`)."""
TERMS: Final = "terms"
FURTHER: Final = "upstreams"
"""The table of `bailee.toml` that holds further upstreams, each under its name."""

# BAILEE_CONSOLE_URL and BAILEE_INGEST_URL tell a person's own client where these are. They may be
# set where a server starts, and mean nothing to it: hence `..._PUBLIC_URL`.
SETTINGS: Final[tuple[Setting, ...]] = (
    Setting("gateway.listen", str, "127.0.0.1:8787", "Address and port of the gateway."),
    Setting("gateway.tls_cert", str, None, "Certificate chain (PEM file) of the gateway."),
    Setting("gateway.tls_key", str, None, "Private key (PEM file) of that certificate."),
    Setting(
        "gateway.url",
        str,
        None,
        "The gateway's public address, as people and their clients are told it: where a reverse "
        "proxy takes connections for it.",
        environment="BAILEE_GATEWAY_PUBLIC_URL",
    ),
    Setting(
        "gateway.connections",
        int,
        4096,
        "How many connections the gateway has at once; fewer when the process may not have as many "
        "descriptors. When all are taken, the one that waits longest without a request makes room.",
        least=16,
    ),
    Setting(
        "gateway.connections_per_address",
        int,
        1024,
        "How many of these may come from one address (an IPv6 address counts by its /64). This "
        "machine's own may have three quarters of all.",
    ),
    Setting(
        "gateway.requests_per_account",
        int,
        512,
        "How many requests of one account are under way at once; one key may have half of them.",
    ),
    Setting(
        "gateway.memory_per_account_mb",
        int,
        256,
        "Memory (MiB) that requests and answers of one account take until they are recorded; one "
        "key may have half of it.",
    ),
    Setting(
        "gateway.spool_per_account_mb",
        int,
        1024,
        "Disk (MiB) that what was recorded of one account takes until it is sealed. What is sealed "
        "has a limit of its own.",
    ),
    Setting(
        "gateway.spool_mb",
        int,
        2048,
        "The same of all accounts together, and of what an earlier process left.",
    ),
    Setting(
        "gateway.unsealed_per_account",
        int,
        5000,
        "How many exchanges of one account may be recorded and not sealed yet. Beyond it new ones "
        "are answered 429, until some are sealed.",
    ),
    Setting(
        "gateway.sealing_seconds_per_account",
        int,
        120,
        "How many seconds of a processor it may take to seal what was recorded of one account, by "
        "what its exchanges took lately; a MiB counts as a sixteenth of a second at least. Beyond "
        "it new ones are answered 429, until some are sealed.",
    ),
    Setting(
        "gateway.drain_seconds",
        int,
        10,
        "When the server is told to stop: how long, at most, what is under way may take to end. "
        "Nothing more is begun meanwhile.",
        most=3600,
        least=0,
    ),
    Setting("gateway.unsealed", int, 10_000, "The same of all accounts together."),
    Setting(
        "gateway.stored_per_account_mb",
        int,
        0,
        "Disk (MiB) that what is kept of one account takes; 0: no limit, so as much as the policy "
        "keeps. Beyond it, what would be recorded is answered 429, until sessions are deleted or "
        "their time comes. `bailee account limit` sets another for one account. Never more than "
        "the policy document has.",
        least=0,
    ),
    Setting(
        "gateway.free_mb",
        int,
        1024,
        "Disk (MiB), a twentieth of it at the most, below which who has more than an equal part of "
        "what is stored gets nothing more recorded; 0: none is kept free for others.",
        least=0,
    ),
    Setting(
        "gateway.max_request_mb",
        int,
        32,
        "The largest request, in MiB. What is recorded is held until it is there.",
        most=1024,
    ),
    Setting(
        "gateway.max_upload_mb",
        int,
        500,
        "The largest request, in MiB, that passes unrecorded with the client's own credential.",
        most=100_000,
    ),
    Setting(
        "gateway.origins",
        str,
        None,
        "Origins whose pages may call the gateway from a browser: `https://app.example.com`; "
        "commas between. Whoever opens such a page can read the key in it.",
    ),
    Setting("console.listen", str, "127.0.0.1:8788", "Address and port of the console."),
    Setting(
        "console.url",
        str,
        None,
        "The console's public address: links, cookies, passkeys and sign-in through a provider "
        "follow it. Not set: a name of its own on this machine, or where it listens.",
        environment="BAILEE_CONSOLE_PUBLIC_URL",
    ),
    Setting(
        "trusted_proxies",
        str,
        None,
        "Reverse proxies (addresses or networks; commas between) whose X-Forwarded-For or "
        "Forwarded says whose connection it is. Not set: nobody's does.",
    ),
    Setting(
        "ingest.listen",
        str,
        "127.0.0.1:8789",
        "Address and port that take metrics, errors and feedback; `off` takes none.",
    ),
    Setting(
        "ingest.url",
        str,
        None,
        "The ingest's public address, as people and their clients are told it.",
        environment="BAILEE_INGEST_PUBLIC_URL",
    ),
    Setting(
        "holder.url",
        str,
        None,
        "Of a gateway of its own (`bailee serve gateway`): where the gateway of the server that "
        "has the home is reached from it. What is for no model is passed on there: how clients "
        "sign in, what they must obey, their telemetry. Not set: it is answered 404.",
    ),
    Setting(
        "health.listen",
        str,
        "127.0.0.1:8790",
        "Address and port of `/healthz`, `/readyz` and `/metrics`, which hold no content; `off`: "
        "nowhere. Not set, and the port is taken: any free one of this machine.",
    ),
    Setting(
        "telemetry.rate_per_account_kb",
        int,
        4096,
        "Metrics and errors (KiB a second, in the long run and unpacked) of one account.",
    ),
    Setting(
        "telemetry.metrics_per_account",
        int,
        5_000_000,
        "How many metrics, events and spans of one account are taken a day (UTC); 0: no limit. "
        "Beyond it they are answered 429, until the next.",
        most=1_000_000_000,
        least=0,
    ),
    Setting(
        "telemetry.errors_per_account",
        int,
        10_000,
        "The same of errors.",
        least=0,
    ),
    Setting(
        "telemetry.stored_per_account_mb",
        int,
        4096,
        "Disk (MiB) that what is kept of one account's metrics and errors takes; 0: no limit. "
        "Beyond it more is answered 429, until some of it comes to its time. Never more than the "
        "policy document has.",
        least=0,
    ),
    Setting(
        "telemetry.webhook",
        str,
        None,
        "Address that is told of new and returning errors, by POST, without their content.",
    ),
    Setting(
        "feedback.rate_per_account_kb",
        int,
        256,
        "Reports (KiB a second, in the long run and unpacked) of one account.",
    ),
    Setting(
        "feedback.reports_per_account",
        int,
        500,
        "How many reports of one account are taken a day (UTC); 0: no limit. Beyond it they are "
        "answered 429, until the next.",
        least=0,
    ),
    Setting(
        "feedback.stored_per_account_mb",
        int,
        1024,
        "Disk (MiB) that what is kept of one account's reports takes; 0: no limit. Beyond it more "
        "are answered 429, until some are withdrawn or come to their time. Never more than the "
        "policy document has.",
        least=0,
    ),
    Setting(
        "feedback.repository",
        str,
        None,
        "GitHub repository (owner/name) in which whoever triages reports may file issues.",
    ),
    Setting(
        "feedback.github_token_env",
        str,
        None,
        "Name of the environment variable that holds a GitHub token to file issues with.",
    ),
    Setting(
        "feedback.github_api",
        str,
        "https://api.github.com",
        "Address of GitHub's REST API; a GitHub Enterprise Server has one of its own.",
    ),
    Setting(
        "telemetry.metrics",
        str,
        "store",
        "Where metrics go after the guard: `store`, `otlp:URL`, `none`; or `store otlp:URL`. The "
        "policy document says how far.",
    ),
    Setting(
        "telemetry.errors",
        str,
        "store",
        "Where errors go after the guard: `store`, `sentry:DSN`, `otlp:URL`, `none`; or `store` "
        "and an address. The policy document says how far.",
    ),
    Setting(
        "telemetry.otlp_authorization_env",
        str,
        None,
        "Name of the environment variable that holds the Authorization header for OTLP addresses.",
    ),
    Setting(
        "telemetry.own",
        str,
        "policy",
        "Whether this server measures its own exchanges and defects: `policy`, as the policy's "
        "flows and switches say; `off`.",
    ),
    Setting(
        "usage.prices",
        str,
        None,
        "File (TOML) of what tokens cost, in the place of the shipped table of list prices.",
    ),
    Setting(
        "usage.otlp",
        str,
        None,
        "OTLP/HTTP to which what is used is sent each minute, as metrics without content: the "
        "address without `/v1/metrics`.",
    ),
    Setting("usage.otlp_token_file", str, None, "A file that holds the bearer token for it."),
    Setting(
        "tracing.otlp",
        str,
        None,
        "OTLP/HTTP to which a trace of each request is sent, without content: the address without "
        "`/v1/traces`.",
    ),
    Setting("tracing.otlp_token_file", str, None, "A file that holds the bearer token for it."),
    Setting("tracing.percent", int, 100, "How many of a hundred traces are kept.", most=100),
    Setting(
        "usage.ask_at",
        str,
        None,
        "Where people ask for more than their limit, an address: it stands in the refusal. Not "
        "set: the console's page, for what can be asked for there.",
    ),
    Setting(
        "upstream.url",
        str,
        None,
        "The model's Messages API. Not set: the embedded model, which is for trying things out.",
    ),
    Setting(
        "upstream.key_env",
        str,
        None,
        "Name of the environment variable that holds the upstream's API key.",
    ),
    Setting(
        "requests.period",
        str,
        "P1M",
        "Within which a person's request about their own data has to be answered, as an ISO 8601 "
        "period; never longer than the policy document has it.",
    ),
    Setting(
        "requests.further_period",
        str,
        "P2M",
        "By which such a request can be put off, once and with a reason; never longer than the "
        "policy document has it.",
    ),
    Setting(
        "requests.contact",
        str,
        None,
        "Who answers such requests, and how they are reached: it stands in the letter.",
    ),
    Setting(
        "requests.authority",
        str,
        None,
        "To whom a person complains, with the address: it stands in the letter. Not set: a line to "
        "fill in.",
    ),
    Setting("upstream.ca_file", str, None, "Certificates (PEM file) to trust for the upstreams."),
    Setting(
        "upstream.client_cert",
        str,
        None,
        "Certificate (PEM file, with its chain) to show to upstreams and proxies that want one.",
    ),
    Setting(
        "upstream.client_key",
        str,
        None,
        "Private key (PEM file) of that certificate, when it does not stand in the same file.",
    ),
    Setting(
        "upstream.client_key_passphrase_env",
        str,
        None,
        "Name of the environment variable that holds that key's passphrase.",
    ),
    Setting(
        "upstream.proxy",
        str,
        "env",
        "HTTP proxy to `https://` upstreams and for their credentials: `env`, as HTTPS_PROXY says; "
        "an address; `off`. NO_PROXY excepts hosts.",
    ),
    Setting(
        "upstream.proxy_login_env",
        str,
        None,
        "Name of the environment variable that holds `user:password` for that address.",
    ),
    Setting(
        "bedrock.url",
        str,
        None,
        "Bedrock runtime address for /bedrock/..., or `auto`: the region's own. Credentials as the "
        "AWS SDKs find them.",
    ),
    Setting(
        "bedrock.region", str, None, "Region to sign Bedrock requests for; else as the SDKs do."
    ),
    Setting(
        "vertex.url",
        str,
        None,
        "Vertex AI address for /vertex/..., or `auto`: the region's own. Credentials as the Google "
        "SDKs find them.",
    ),
    Setting(
        "openai.url",
        str,
        None,
        "OpenAI's API, or one like it, for /openai/..., /v1/responses and /v1/chat/completions: "
        "its address without /v1, or `auto`: OpenAI's own. Not set: `upstream.url` and its key.",
    ),
    Setting(
        "openai.key_env",
        str,
        None,
        "Name of the environment variable that holds its key, sent as `Authorization: Bearer`.",
    ),
    Setting(
        "google.url",
        str,
        None,
        "The Gemini API for /gemini/... and /v1beta/...: its address without /v1beta, or `auto`: "
        "Google's own. Not set: `upstream.url` and its key.",
    ),
    Setting(
        "google.key_env",
        str,
        None,
        "Name of the environment variable that holds its key, sent as `x-goog-api-key`.",
    ),
    Setting(
        "azure.url",
        str,
        None,
        "An Azure OpenAI resource for /azure/openai/...: https://NAME.openai.azure.com.",
    ),
    Setting(
        "azure.key_env",
        str,
        None,
        "Name of the environment variable that holds its key, sent as `api-key`.",
    ),
    Setting(
        "foundry.url",
        str,
        None,
        "Claude on Foundry for /foundry/v1/messages: https://NAME.services.ai.azure.com/anthropic.",
    ),
    Setting(
        "foundry.key_env",
        str,
        None,
        "Name of the environment variable that holds its key, sent as `x-api-key`.",
    ),
    Setting(
        "audit.file",
        str,
        None,
        "File to which the audit record is appended as it grows, as lines of JSON (OCSF).",
    ),
    Setting(
        "audit.file_mb",
        int,
        64,
        "Size (MiB) at which that file is renamed to NAME.1.",
        most=100_000,
    ),
    Setting(
        "audit.file_keep",
        int,
        9,
        "How many renamed files stay. Beyond it the oldest is removed; the record itself is not.",
        most=10_000,
    ),
    Setting(
        "audit.syslog",
        str,
        None,
        "Syslog (RFC 5424) to which it is sent: `tls://host:6514`, `tcp://127.0.0.1:601`, "
        "`unix:/dev/log`.",
    ),
    Setting(
        "audit.http",
        str,
        None,
        "Address to which it is sent by POST, as lines of JSON (OCSF), many at once.",
    ),
    Setting("audit.http_token_file", str, None, "A file that holds the bearer token for it."),
    Setting(
        "audit.otlp",
        str,
        None,
        "OTLP/HTTP to which it is sent as log records: the address without `/v1/logs`.",
    ),
    Setting("audit.otlp_token_file", str, None, "A file that holds the bearer token for it."),
    Setting(
        "audit.webhook",
        str,
        None,
        "Address that is told of chosen entries by POST, one by one: CloudEvents, signed as "
        "Standard Webhooks has it.",
    ),
    Setting(
        "audit.webhook_kinds",
        str,
        None,
        "Which: `key.created, policy.activated, person.*`; commas between.",
    ),
    Setting(
        "audit.webhook_secret_file",
        str,
        None,
        "A file that holds the secret that they are signed with: `whsec_` and base64.",
    ),
    Setting(
        "log.format",
        str,
        "text",
        "How the server writes what it says on standard error: `text`, or `json`, a line each.",
    ),
    Setting(
        "ledger.witnesses",
        str,
        None,
        "A trust policy (c2sp.org/tlog-policy): the witnesses that cosign the log, with their keys "
        "and addresses, and how many are enough. Not set: none is asked.",
    ),
    Setting(
        "policy.document",
        str,
        None,
        "The document that a new home begins with, else the shipped one. Later ones are activated.",
    ),
    Setting(
        "keyring.root",
        str,
        "file",
        "Where the root key is: `file` in the home; `env:NAME`, sealed under the key in that "
        "variable; `transit:ADDRESS` of a key of OpenBao or Vault; `aws-kms:ALIAS`; "
        "`google-kms:RESOURCE`; `pkcs11:` and the rest of a token's URI.",
    ),
    Setting(
        "keyring.token_env",
        str,
        None,
        "Name of the environment variable that holds the token for `transit`.",
    ),
    Setting(
        "keyring.token_file",
        str,
        None,
        "A file that holds it, read whenever it is needed: where something else renews it.",
    ),
    Setting(
        "keyring.pin_env",
        str,
        None,
        "Name of the environment variable that holds the PIN for `pkcs11`.",
    ),
    Setting("keyring.pin_file", str, None, "A file that holds it."),
    Setting(
        "keyring.url",
        str,
        None,
        "Address of AWS KMS or Google Cloud KMS, where it is not the usual one.",
    ),
    Setting(
        "database.url",
        str,
        None,
        "PostgreSQL's database for all but the keys: `postgresql://USER@HOST/NAME`, the password "
        "by PGPASSWORD or PGPASSFILE. Not set: SQLite's file in the home.",
    ),
    Setting(
        "keyring.database_url",
        str,
        None,
        "The same for the keys: another database, since a copy of the one must never hold what the "
        "other needs. Both are set, or neither.",
    ),
    Setting(
        "objects.url",
        str,
        None,
        "Where sealed segments and reports are kept: `s3://BUCKET/PREFIX`, the credentials found "
        "as the AWS SDKs find them. Not set: in folders of the home.",
    ),
    Setting(
        "spool.durability",
        str,
        "local",
        "Where what is answered is durable before its client sees the end: `local`, on this "
        "machine's disk, or `database`, so that nothing of it is lost with the machine. The latter "
        "needs `database.url` and `objects.url`.",
    ),
    Setting(
        "keys.per_person",
        int,
        100,
        "How many keys of one person may be good at once, in all accounts together. Beyond it a "
        "new one is refused, until another is revoked.",
    ),
    Setting(
        "keys.per_account",
        int,
        1000,
        "The same of one account, an organisation's with all its people.",
    ),
    Setting("keys.in_all", int, 100_000, "The same of all accounts together."),
    Setting(
        "accounts.sign_up",
        str,
        "closed",
        "Whether people may sign up in the console by themselves: `closed`, or `open`, which needs "
        "`accounts.sign_up_plans`.",
    ),
    Setting(
        "accounts.sign_up_plans",
        str,
        None,
        "The plans that who signs up may choose (commas between), of those that the policy "
        "document has in `sign_up`. Their keys use the model at the operator's expense.",
    ),
    Setting(
        "retention.every_minutes",
        int,
        5,
        "How often what is due is destroyed; at most 25, so that it is gone within the hour.",
        most=25,
    ),
    Setting(
        "retention.shred_hours",
        int,
        24,
        "How long after one shred cycle the next comes, if anything was destroyed meanwhile: the "
        "root key is made anew, and the one that older copies of the keyring are under goes. With "
        "the keys on PostgreSQL it is a quarter of an hour, whatever this says; never longer than "
        "the policy document has it.",
        most=24,
    ),
    Setting(
        "backup.keys_hours",
        int,
        48,
        "How long a snapshot of the keyring lives that a backup takes. Until then, what is "
        "destroyed can be read again by whoever has snapshot and data: it is part of the lag. "
        "Never longer than the policy document has it.",
        least=1,
        most=24 * 14,
    ),
    Setting(
        "cloud.image",
        str,
        None,
        "The image of cloud sessions' machines. Not set: the one that was built last.",
    ),
    Setting("cloud.capacity", int, 2, "How many cloud sessions run at once.", most=1000),
    Setting(
        "cloud.warm",
        int,
        0,
        "How many machines a runner keeps started ahead; each takes memory.",
        most=100,
        least=0,
    ),
    Setting("cloud.waiting", int, 50, "How many cloud sessions there may be, those waiting too."),
    Setting("cloud.per_account", int, 5, "How many of these may be of one account."),
    Setting("cloud.memory_mb", int, 1024, "Memory of a cloud session's machine."),
    Setting("cloud.cpus", int, 1, "Processors of a cloud session's machine.", most=64),
    Setting("cloud.disk_mb", int, 8192, "What a cloud session may write to its disk."),
    Setting("cloud.processes", int, 512, "Processes of a cloud session's machine."),
    Setting("cloud.minutes", int, 120, "The longest that a cloud session's machine lives."),
    Setting("cloud.idle_minutes", int, 20, "How long nothing may happen in it."),
    Setting(
        "cloud.linger_minutes",
        int,
        10,
        "How long a cloud session waits for a follow-up once its task is done.",
        least=0,
    ),
    Setting(
        "cloud.network",
        str,
        "trusted",
        "What a cloud session reaches if nothing is said: `none`, `trusted` or `full`; no more "
        "than the policy document's `[[network]]` have at the most.",
    ),
    Setting(
        "cloud.network_allow",
        str,
        None,
        "Hosts that cloud sessions reach besides, where the policy document's `cloud_opens` has "
        "`hosts`: `host`, `*.host`, `host:port`; commas between.",
    ),
    Setting("cloud.network_deny", str, None, "Hosts that no cloud session reaches; the same form."),
    Setting(
        "cloud.git_networks",
        str,
        None,
        "Networks (10.1.0.0/16; commas between) whose git servers may be cloned from although they "
        "are not public, where the policy document's `cloud_opens` has `networks`; there http:// "
        "will do.",
    ),
    Setting(
        "cloud.egress_networks",
        str,
        None,
        "Networks that cloud sessions' connections may go to although they are not public, where "
        "the policy document's `cloud_opens` has `networks`.",
    ),
)
_BY_NAME: Final = {setting.name: setting for setting in SETTINGS}


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting's value and origin (`command line`, `environment NAME`, a file, `default`).
    `terms`: what upstreams declare, by the table whose `url` is theirs. `further`: more upstreams,
    in the file's order.
    """

    values: Mapping[str, str | int | None]
    origin: Mapping[str, str]
    terms: Mapping[str, UpstreamTerms] = field(default_factory=dict)
    further: tuple[FurtherUpstream, ...] = ()

    def text(self, name: str) -> str | None:
        """The value of a text setting."""
        value = self.values[name]
        return None if value is None else str(value)

    def number(self, name: str) -> int:
        """The value of a whole-number setting."""
        value = self.values[name]
        assert isinstance(value, int)
        return value

    def terms_in_force(self, table: str) -> UpstreamTerms | None:
        """What an upstream declares, if its address stands in the same file: terms are nobody
        else's. None: it declares nothing.
        """
        place = self.origin[f"{table}.url"]
        elsewhere = place in ("default", "command line") or place.startswith("environment ")
        return None if elsewhere else self.terms.get(table)


def load(
    file: Path, environment: Mapping[str, str], command_line: Mapping[str, str | int | None]
) -> Settings:
    """The settings of a home. `command_line` holds only what was given there (None: not given).

    Raises:
        InputError: code `configuration`; an unknown name, a wrong kind, an unreadable file.
    """
    values: dict[str, str | int | None] = {s.name: s.default for s in SETTINGS}
    origin = dict.fromkeys(values, "default")
    written, terms, further = _from_file(file)
    for name, value in written.items():
        values[name], origin[name] = _checked(_BY_NAME[name], value, f"{file}: {name}"), str(file)
    for setting in SETTINGS:
        text = environment.get(setting.variable)
        if text:
            values[setting.name] = _checked(setting, _read(setting, text), setting.variable)
            origin[setting.name] = f"environment {setting.variable}"
    for name, given in command_line.items():
        if given is not None:
            values[name] = _checked(_BY_NAME[name], given, f"command line: {name}")
            origin[name] = "command line"
    return Settings(values, origin, terms, further)


_FromFile = tuple[dict[str, object], dict[str, UpstreamTerms], tuple[FurtherUpstream, ...]]


def _from_file(file: Path) -> _FromFile:
    """The settings that stand there, the terms that upstreams declare, and further upstreams."""
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}, {}, ()
    except OSError as error:
        raise _wrong(f"{file} can't be read ({error.strerror}).", "fix its permissions") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _wrong(f"{file} is not TOML: {error}.", "mend the file at that place") from error
    found: dict[str, object] = {}
    terms: dict[str, UpstreamTerms] = {}
    further = further_ones(document.pop(FURTHER, {}), FURTHER, UPSTREAM_TABLES)
    for table, content in document.items():
        keys = content if isinstance(content, dict) else {None: content}
        for key, value in keys.items():
            name = table if key is None else f"{table}.{key}"
            if key == TERMS and table in UPSTREAM_TABLES:
                terms[table] = declared(value, name)
                continue
            if name not in _BY_NAME:
                raise _wrong(f"{file}: there is no setting {name!r}.", "see `bailee config show`")
            found[name] = value
    return found, terms, further


def _read(setting: Setting, text: str) -> object:
    if setting.kind is int:
        try:
            return int(text)
        except ValueError:
            return text
    return text


def _checked(setting: Setting, value: object, place: str) -> str | int:
    if setting.kind is int:
        if (
            isinstance(value, int)
            and not isinstance(value, bool)
            and setting.least <= value <= setting.most
        ):
            return value
        raise _wrong(
            f"{place} is not a whole number from {setting.least} to {setting.most}.",
            setting.meaning,
        )
    if isinstance(value, str) and value:
        return value
    raise _wrong(f"{place} is not a text.", setting.meaning)


def _wrong(message: str, hint: str) -> InputError:
    return InputError(message, code="configuration", hint=hint)


def parse_address(text: str, name: str) -> tuple[str, int]:
    """`host:port` (or `[v6]:port`) as host and port; port 0 means any free one.

    Raises:
        InputError: code `configuration`.
    """
    host, separator, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not separator or not host or not port.isdecimal() or int(port) > 65535:
        raise _wrong(f"{name} {text!r} is not an address.", "write it like 127.0.0.1:8787")
    return host, int(port)
