"""The gateway: the Messages API (and Bedrock- and Vertex-style paths) in, an upstream out, and what
may be kept of each exchange handed to a recording.

`server.Gateway` is the whole of it; a request is walked through in `server` (what happens to it),
`client` and `upstream` (the two connections; `way_out` and `tunnel` say by what way the second
goes), `exchange` (what stands between them: it decides, and `carrier` does what it says), `phases`
(what may follow what), `uplink` and `downlink` (what goes each way), `completion` (what of an
answer waits for its record) and `recording` (the record's port). `interpret` reads what was
captured.

Nothing is imported here: the process that takes exchanges apart (`taking_apart`) needs `interpret`
and no server.
"""
