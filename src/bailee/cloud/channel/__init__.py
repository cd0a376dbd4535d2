"""The channel: everything that passes between a machine and its host, over one serial port.

`frames` is the protocol, without I/O; `connection` is either end of it, on a file descriptor;
`commands` is what a stream that carries a command holds. The guest's agent runs these same files,
so they import the standard library and each other, and nothing else.
"""
