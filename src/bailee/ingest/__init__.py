"""The door of the ingest listener: who may send, how much, and what a body unpacks to.

What is behind it is for `telemetry` and `feedback`, which serve their own addresses through it.
"""
