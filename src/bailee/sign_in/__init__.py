"""How clients sign in at the gateway's address: the protocol of Claude Code's "Cloud gateway".

An unmodified client finds out where to sign in (RFC 8414), begins a device grant (RFC 8628) that a
person confirms in the console, and renews its tokens (RFC 6749). `documents` (pure) makes what is
answered, `application` answers. Who may, and what a token is, `accounts.sign_ins` says.

Rows: O1, D3.
"""
