"""The way out: what every part that connects to somebody else's machine stands on.

`addresses.py` and `hosts.py` are pure: which addresses are public, and how a host may be written.
`dialing.py` resolves, checks every address and connects to one that was checked. `http1.py` reads
and writes HTTP/1.1 over a stream. `forwarding/` is the one forward proxy: of a cloud session, of
the agent's sandbox and of the watch of a program.

Nothing is imported here: whoever only wants to know an address starts no event loop's machinery.

Rows: C2, C3, D2, S7.
"""
