"""The audit record, delivered entry by entry to where a security team reads.

| module | what |
|---|---|
| `ocsf` | what each kind of entry is in OCSF |
| `entries`, `entry` | the entries as they may leave: without what is somebody's |
| `sinks`, `syslog`, `cloud_events`, `otlp_logs` | how each kind of address takes them |
| `streams` | each sink's thread, its position, and how it goes |
"""
