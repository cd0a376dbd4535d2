"""A collector of OpenTelemetry traces: takes what is sent, by the protocol's own reader."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span


class TraceCollector:
    """Takes what is sent, and answers with `status`. `came` is set with each request; `spans` are
    those of requests that it took.
    """

    def __init__(self) -> None:
        self.status = 200
        self.spans: list[Span] = []
        self.paths: list[str] = []
        self.authorizations: set[str | None] = set()
        self.came = threading.Event()
        self._changed = threading.Condition()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                read = ExportTraceServiceRequest.FromString(body)
                status = collector.status
                with collector._changed:
                    collector.paths.append(self.path)
                    collector.authorizations.add(self.headers["authorization"])
                    if status == 200:
                        for of in read.resource_spans:
                            for scope in of.scope_spans:
                                collector.spans.extend(scope.spans)
                    collector._changed.notify_all()
                self.send_response(status)
                self.send_header("content-length", "0" if status == 200 else "5")
                self.send_header("location", "http://127.0.0.1:9/")
                self.end_headers()
                self.wfile.write(b"" if status == 200 else b"pears")
                collector.came.set()

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def until(self, number: int) -> None:
        """Wait for so many spans."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.spans) >= number, 60)

    def close(self) -> None:
        """End it."""
        self.server.shutdown()
        self.server.server_close()
