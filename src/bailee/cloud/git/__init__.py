"""The git proxy: one repository and one branch of a session, without its credential.

    proxy = GitProxy(
        Repository.read("https://github.com/owner/name"),
        branch="refs/heads/bailee/SESSION",
        token=token,                      # the session's own; what the guest shows
        credential=credential,            # async (Access) -> value of Authorization, or None
        record=write_down,                # called with a GitRecord for each operation
        force=False,                      # whether the branch may be set back
        dialer=Dialer(private=[...]),     # operator's: git servers that are not public
        limits=Limits(push=1 << 30),      # and every other limit
    )
    services = {"git": proxy.serve}
    proxy.url                             # the repository's address inside the guest

In the guest: `git -c http.extraHeader="Authorization: Bearer TOKEN" clone URL`, or the same in the
system's gitconfig for that address. Commits and pushes are git's own there. `proxy.serve(reader,
writer)` serves one stream, of a machine's channel or of a TCP listener; `record` is called in the
event loop and must not block. Stored connections, from which a `credential` comes, are in
`connections.py`.

Rows: C2.
"""

from bailee.cloud.git.proxy import Credential, CredentialUse, GitProxy
from bailee.cloud.git.records import GitLimits, GitOutcome, GitRecord
from bailee.cloud.git.routes import GitService, Repository

__all__ = [
    "Credential",
    "CredentialUse",
    "GitLimits",
    "GitOutcome",
    "GitProxy",
    "GitRecord",
    "GitService",
    "Repository",
]
