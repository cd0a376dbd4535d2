"""What begins with a dot, and commands may write all the same. Pure.

Whatever begins with a dot is taken for settings of somebody's, of programs known here or not
(`obeyed`). Not so are

* caches and what is built, which only the tool that made them reads;
* installed packages, whose programs run as the project's own do, with a dot or without;
* settings of a project's build, checks, formatting and CI: what they may run, `package.json`, a
  `Makefile` or an `eslint.config.js` may run as well, so that holding them would hold nothing;
* what lies among packages, or among what was built: it came with them.

A name belongs here if it is one of those. What is for a person's own use of a folder (an editor's,
an agent's, a shell's, a hook) does not, however harmless it looks.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Final

_CACHES: Final = {
    ".angular", ".astro", ".aws-sam", ".benchmarks", ".build", ".buildinfo", ".coverage",
    ".dart_tool", ".deps", ".docusaurus", ".DS_Store", ".eggs", ".expo", ".fingerprint",
    ".gradle", ".hypothesis", ".ipynb_checkpoints", ".kotlin", ".libs", ".lock", ".next",
    ".nox", ".nuxt", ".nyc_output", ".output", ".pyre", ".pytype", ".scannerwork",
    ".serverless", ".stack-work", ".svelte-kit", ".temp", ".testmondata", ".tmp", ".tox",
    ".trash", ".tsbuildinfo", ".turbo", ".vercel", ".vite", ".vite-temp", ".vitest", ".wandb",
    ".webpack", ".wrangler",
}  # fmt: skip
"""Made by a tool, and read by that tool alone."""
_INSTALLED: Final = {
    ".bundle", ".package-lock.json", ".pnp.cjs", ".pnp.data.json", ".pnp.loader.mjs", ".pnpm",
    ".pnpm-store", ".terraform", ".venv", ".virtualenv", ".yarn",
}  # fmt: skip
"""Packages, and what they are found by."""
_PROJECTS: Final = {
    ".all-contributorsrc", ".babelrc", ".babelrc.cjs", ".babelrc.js", ".babelrc.json",
    ".bazelversion", ".browserslistrc", ".bumpversion.cfg", ".changeset", ".ci", ".circleci",
    ".clang-format", ".clang-tidy", ".clippy.toml", ".codespellrc", ".coveragerc", ".credo.exs",
    ".cruft.json", ".drone.yml", ".editorconfig", ".empty", ".eslintrc", ".eslintrc.cjs",
    ".eslintrc.js", ".eslintrc.json", ".eslintrc.yaml", ".eslintrc.yml", ".flake8",
    ".formatter.exs", ".git-blame-ignore-revs", ".gitattributes", ".github", ".gitkeep",
    ".gitlab", ".gitlab-ci.yml", ".gitmodules", ".golangci.toml", ".golangci.yaml",
    ".golangci.yml", ".hadolint.yaml", ".hlint.yaml", ".htaccess", ".htmlhintrc", ".isort.cfg",
    ".jscpd.json", ".jshintrc", ".keep", ".mailmap", ".markdownlint-cli2.yaml",
    ".markdownlint.json", ".markdownlint.yaml", ".markdownlint.yml", ".mocharc.cjs",
    ".mocharc.js", ".mocharc.json", ".mocharc.yaml", ".mocharc.yml", ".nojekyll", ".npmrc",
    ".nvmrc", ".nycrc", ".nycrc.json", ".ocamlformat", ".php-cs-fixer.dist.php",
    ".php-cs-fixer.php", ".prettierrc", ".prettierrc.cjs", ".prettierrc.js", ".prettierrc.json",
    ".prettierrc.mjs", ".prettierrc.toml", ".prettierrc.yaml", ".prettierrc.yml", ".pydocstyle",
    ".pylintrc", ".readthedocs.yaml", ".readthedocs.yml", ".release-please-manifest.json",
    ".releaserc", ".releaserc.json", ".remarkrc.json", ".rspec", ".rubocop.yml",
    ".rubocop_todo.yml", ".ruby-gemset", ".ruff.toml", ".rustfmt.toml", ".scalafmt.conf",
    ".shellcheckrc", ".sqlfluff", ".storybook", ".style.yapf", ".stylelintrc",
    ".stylelintrc.json", ".swcrc", ".swiftformat", ".swiftlint.yml", ".taplo.toml",
    ".terraform.lock.hcl", ".tflint.hcl", ".travis.yml", ".typos.toml", ".vitepress",
    ".well-known", ".yamllint", ".yamllint.yaml", ".yamllint.yml", ".yarnrc.yml",
}  # fmt: skip
"""Of a project's build, checks, formatting and CI; ignored files and versions."""
GITHUB: Final = ".github"
_IN_GITHUB: Final = {
    "actions", "assets", "CODEOWNERS", "ISSUE_TEMPLATE", "PULL_REQUEST_TEMPLATE",
    "renovate.json", "renovate.json5", "scripts", "workflows",
}  # fmt: skip
"""In `.github`, where agents look for theirs too."""
_FORMS: Final = re.compile(
    r"\.(?:env(?:rc|\..*)?|venv[\w.-]*|coverage\..*|tmp_.*"  # direnv asks anew, by itself
    r"|#.*|~lock\..*|nfs[0-9a-f]+|fuse_hidden[0-9a-f]+|.*\.(?:sw[a-p]|tmp|lock|cmd)"
    r"|.*(?:cache|ignore|-versions?)|ninja_(?:deps|log|lock)"
    r"|cargo-(?:lock|ok|checksum\.json)|cargo_vcs_info\.json"
    r"|rustc_info\.json|rustdoc_fingerprint\.json|future-incompat-report\.json)"
)
_OF_APPS: Final = (".md", ".yaml", ".yml")
_KNOWN: Final = frozenset({*_CACHES, *_INSTALLED, *_PROJECTS})
_FOR_PACKAGES: Final = frozenset(
    {"__pycache__", "build", "dist", "node_modules", "out", "site-packages", "target", "vendor"}
)


def is_inert(name: str, folder: str = "", granted: Collection[str] = ()) -> bool:
    """Whether what is called so, in a folder that is called so, is nobody's settings by its form.
    `granted`: names that the person says so of.
    """
    if folder == GITHUB:
        return name in _IN_GITHUB or name.endswith(_OF_APPS) or name in granted
    if not name.startswith("."):
        return True
    return name in _KNOWN or name in granted or _FORMS.fullmatch(name) is not None


def is_among_packages(above: Sequence[str]) -> bool:
    """Whether a folder, by the names from the workspace's top to it, lies among packages, in a
    cache, or in what was built.
    """
    return any(name in _FOR_PACKAGES or (name.startswith(".") and name != GITHUB) for name in above)
