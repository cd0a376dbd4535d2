"""Metrics and errors: received from unmodified SDKs, held to the registry, kept for their time.

The way in: `bodies` and `quotas` (what is too much), `otlp*`, `sentry`, `statsig` (protocols to
plain values), `records` (what is left after the guard), `journal` (durable before the answer),
`days` (a day's files, encrypted), `issues` (errors grouped). The way out: `queries`.

Rows: S1, S2.
"""
