"""A person's machine: settings and switches, what leaves and what stays, other agents under them.

`settings` merges the scopes (pure), `files` reads them, `flows` says what leaves this machine and
who decided (pure); `outbox` and `sender` carry it, `transcripts` keeps sessions locally for as long
as the person wants. Imports the policy and nothing of the server.
"""
