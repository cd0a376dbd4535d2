"""Runners: processes that lead machines, and hold no key.

A runner is a process of its own (`bailee cloud runner`) that connects to the server of its home by
a Unix socket, says how many machines it can lead, and does as it is told (`wire.py`). Whatever a
program in a machine sends goes back through that socket to the server, where the proxies and the
credentials are. So a runner knows no task, no repository, no key of the keyring; it carries the
bytes of its machines and one secret for each.

`pool.py` is the server's side: it has the face of `ports.Machines`. `runner.py` is the process.
`warm.py` keeps machines started ahead.

Rows: C1.
"""
