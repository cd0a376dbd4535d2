"""A tamper-evident log in the formats that others read too: the tree, and what is said of it.

Pure: bytes in, bytes or a refusal out. Who keeps the log reads and writes around it.

Rows: P4.
"""
