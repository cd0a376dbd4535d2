"""The streams of the audit record that the settings name. Rows: O5."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bailee.app.monitoring import StreamFigures
from bailee.app.said import Say, to_stderr
from bailee.app.secret_files import secret_file
from bailee.auditing import cloud_events, syslog
from bailee.auditing.entries import Entries
from bailee.auditing.sinks import (
    FileSink,
    HttpSink,
    NotTaken,
    OtlpSink,
    Sink,
    WebhookSink,
    check_url,
)
from bailee.auditing.streams import AuditStreams, Positions, Stream
from bailee.auditing.syslog import SyslogSink
from bailee.clock import Clock
from bailee.config import Settings
from bailee.errors import InputError
from bailee.node.node import Node

if TYPE_CHECKING:
    from standardwebhooks import Webhook

_MIB: Final = 1 << 20


def streams(node: Node, say: Say = to_stderr) -> AuditStreams:
    """The streams of an open node, not yet started.

    Raises:
        InputError: code `configuration`; a setting is wrong.
    """
    entries, positions = Entries(node.data), Positions(node.data, node.clock)
    log = node.sequencer.signer.key.name
    made = [
        Stream(name, sink, entries, positions, say)
        for name, sink in _sinks(node.settings, log, node.clock)
    ]
    return AuditStreams(made, entries)


def figures(of: AuditStreams) -> dict[str, StreamFigures]:
    """How each goes, as figures."""
    return {
        one.sink: StreamFigures(one.waiting, one.seconds, one.delivered, one.failures)
        for one in of.standing()
    }


def _sinks(settings: Settings, log: str, clock: Clock) -> Iterator[tuple[str, Sink]]:
    if (file := settings.text("audit.file")) is not None:
        yield "file", _file(Path(file), settings, log)
    if (to := settings.text("audit.syslog")) is not None:
        yield "syslog", SyslogSink(syslog.address(to, "audit.syslog"), log)
    if (url := settings.text("audit.http")) is not None:
        token = secret_file(settings, "audit.http_token_file")
        yield "http", HttpSink(check_url(url, "audit.http"), log, token)
    if (url := settings.text("audit.otlp")) is not None:
        token = secret_file(settings, "audit.otlp_token_file")
        yield "otlp", OtlpSink(check_url(url, "audit.otlp"), log, token)
    if (url := settings.text("audit.webhook")) is not None:
        names = (settings.text("audit.webhook_kinds") or "").replace(",", " ").split()
        if not names:
            raise _wrong("audit.webhook_kinds names no kind.", "like key.created, person.*")
        secret = secret_file(settings, "audit.webhook_secret_file")
        if secret is None:
            raise _wrong("audit.webhook_secret_file names no file.", "what is sent is signed")
        kinds = cloud_events.kinds(names)
        _signer(secret)()  # what is wrong with it stops a start
        url = check_url(url, "audit.webhook")
        yield "webhook", WebhookSink(url, log, kinds, _taking(_signer(secret)), clock)


def _file(path: Path, settings: Settings, log: str) -> FileSink:
    if not path.is_absolute() or not path.parent.is_dir():
        raise _wrong("audit.file names no file in a folder that is there.", "give its whole path")
    number = settings.number
    return FileSink(
        path, log, largest=number("audit.file_mb") * _MIB, keep=number("audit.file_keep")
    )


def _signer(file: Path) -> Callable[[], Webhook]:
    """Reads the secret each time: a new one needs no new start."""

    def read() -> Webhook:
        from standardwebhooks import Webhook
        from standardwebhooks.webhooks import EmptyWebhookSecretError

        try:
            text = file.read_text("ascii").strip()
            if not text.startswith("whsec_"):
                raise ValueError
            return Webhook(text)
        except (OSError, ValueError, EmptyWebhookSecretError):  # binascii.Error is a ValueError
            raise _wrong(
                f"{file} holds no secret of Standard Webhooks.",
                "like: echo whsec_$(openssl rand -base64 32)",
            ) from None

    return read


def _taking(read: Callable[[], Webhook]) -> Callable[[], Webhook]:
    def taken() -> Webhook:
        try:
            return read()
        except InputError as error:
            raise NotTaken(error.message) from None

    return taken


def _wrong(message: str, hint: str) -> InputError:
    return InputError(message, code="configuration", hint=hint)
