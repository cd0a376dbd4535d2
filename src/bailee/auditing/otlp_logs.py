"""Entries as log records of OTLP. It computes, and acts nowhere.

Standard: OTLP 1.x (protobuf), OpenTelemetry's log data model. The body is the OCSF event as JSON.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import orjson

from bailee import __version__
from bailee.auditing.entry import StreamedEntry
from bailee.auditing.ocsf import MAPPED, Severity, event

_LEVELS: Final = {Severity.INFORMATIONAL: 9, Severity.MEDIUM: 13, Severity.HIGH: 17}
"""INFO, WARN, ERROR."""


def request(entries: Sequence[StreamedEntry], log: str) -> bytes:
    """An `ExportLogsServiceRequest`."""
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

    made = ExportLogsServiceRequest()
    of = made.resource_logs.add()
    for name, value in (("service.name", "bailee"), ("service.version", __version__)):
        one = of.resource.attributes.add()
        one.key, one.value.string_value = name, value
    scope = of.scope_logs.add()
    scope.scope.name = "bailee.audit"
    for entry in entries:
        record = scope.log_records.add()
        record.time_unix_nano = record.observed_time_unix_nano = max(
            0, int(entry.at.timestamp() * 1000) * 1_000_000
        )
        record.severity_number = _LEVELS[MAPPED[entry.kind].severity]
        record.event_name = f"bailee.{entry.kind}"
        record.body.string_value = orjson.dumps(event(entry, log)).decode()
        uid = record.attributes.add()
        uid.key, uid.value.string_value = "log.record.uid", f"{log}/{entry.leaf}"
    return bytes(made.SerializeToString())


def rejected(answer: bytes) -> int:
    """How many records an answer says were refused. One that can't be read says nothing."""
    from google.protobuf.message import DecodeError
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

    try:
        read = ExportLogsServiceResponse.FromString(answer)
    except DecodeError:
        return 0
    return int(read.partial_success.rejected_log_records)
