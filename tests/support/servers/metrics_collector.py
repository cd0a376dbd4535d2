"""A collector of OpenTelemetry metrics: takes what is sent, by the real reader of the protocol."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from google.protobuf import json_format
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)


class Collector:
    """Takes what is sent, and answers as it is told. `came` is set with each request."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str | None, ExportMetricsServiceRequest]] = []
        self.status, self.answer = 200, b"{}"
        self.came = threading.Event()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                read = json_format.Parse(body, ExportMetricsServiceRequest())
                collector.asked.append((self.path, self.headers["authorization"], read))
                self.send_response(collector.status)
                self.send_header("content-length", str(len(collector.answer)))
                self.send_header("location", "http://127.0.0.1:9/")
                self.end_headers()
                self.wfile.write(collector.answer)
                collector.came.set()

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def sums(self) -> list[tuple[dict[str, str], datetime, int]]:
        """Of each request, by group, from when, and how many requests to models."""
        found = []
        for _, _, read in self.asked:
            (metric,) = [
                one
                for one in read.resource_metrics[0].scope_metrics[0].metrics
                if one.name == "bailee.usage.requests"
            ]
            found += [
                (
                    {one.key: one.value.string_value for one in point.attributes},
                    datetime.fromtimestamp(point.start_time_unix_nano // 10**9, UTC),
                    point.as_int,
                )
                for point in metric.sum.data_points
            ]
        return found

    def close(self) -> None:
        """Stops."""
        self.server.shutdown()
        self.server.server_close()
