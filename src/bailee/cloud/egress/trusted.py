"""The hosts of the level `trusted`, in groups that an organisation can leave out one by one. Pure.

A host is here because a package manager or a clone needs it, under the name that its tool asks for
when nothing was configured. Being here says nothing about what it serves: see the guide on the
network of cloud sessions for what these hosts can be misused for, `sources` above all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

TRUSTED: Final[Mapping[str, tuple[str, ...]]] = {
    "python": ("pypi.org", "files.pythonhosted.org"),
    "node": ("registry.npmjs.org", "registry.yarnpkg.com"),
    "debian": (
        "deb.debian.org",
        "security.debian.org",
        "archive.ubuntu.com",
        "security.ubuntu.com",
        "ports.ubuntu.com",
    ),
    "rust": ("crates.io", "index.crates.io", "static.crates.io", "static.rust-lang.org"),
    "go": ("proxy.golang.org", "sum.golang.org"),
    "maven": ("repo.maven.apache.org", "repo1.maven.org", "plugins.gradle.org"),
    "ruby": ("rubygems.org", "index.rubygems.org"),
    "sources": (
        "github.com",
        "codeload.github.com",
        "raw.githubusercontent.com",
        "objects.githubusercontent.com",
        "release-assets.githubusercontent.com",
        "gitlab.com",
        "bitbucket.org",
        "codeberg.org",
    ),
}
"""Group to hosts; all of them are exact names."""

GROUP_OF: Final[Mapping[str, str]] = {
    host: group for group, hosts in TRUSTED.items() for host in hosts
}
