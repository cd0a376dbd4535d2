"""The guest's agent: the first process of a machine, and the only thing in it that bailee wrote.

These files and those of `channel/` are copied into the image as they are; they need the standard
library of Python 3.11 and nothing else. Nothing here is trusted by the host.
"""
