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
    ".angular", ".astro", ".aws-sam", ".benchmarks", ".build", ".buildinfo", ".cache",
    ".ccls-cache", ".coverage", ".dart_tool", ".deps", ".docusaurus", ".DS_Store", ".eggs",
    ".eslintcache", ".expo", ".fingerprint", ".gradle", ".hypothesis", ".ipynb_checkpoints",
    ".jekyll-cache", ".kotlin", ".libs", ".lock", ".mypy_cache", ".next", ".nox", ".nuxt",
    ".nyc_output", ".output", ".parcel-cache", ".phpunit.cache", ".phpunit.result.cache",
    ".pyre", ".pytest_cache", ".pytype", ".rollup.cache", ".rpt2_cache", ".ruff_cache",
    ".sass-cache", ".scannerwork", ".serverless", ".stack-work", ".stylelintcache",
    ".svelte-kit", ".temp", ".testmondata", ".tmp", ".tox", ".trash", ".tsbuildinfo", ".turbo",
    ".vercel", ".vite", ".vite-temp", ".vitest", ".wandb", ".webpack", ".wrangler",
    ".zig-cache",
}  # fmt: skip
"""Made by a tool, and read by that tool alone."""
_INSTALLED: Final = {
    ".bundle", ".package-lock.json", ".pnp.cjs", ".pnp.data.json", ".pnp.loader.mjs", ".pnpm",
    ".pnpm-store", ".terraform", ".venv", ".virtualenv", ".yarn",
}  # fmt: skip
"""Packages, and what they are found by."""
_PROJECTS: Final = {
    ".all-contributorsrc", ".babelrc", ".babelrc.cjs", ".babelrc.js", ".babelrc.json",
    ".bazelignore", ".bazelversion", ".browserslistrc", ".bumpversion.cfg", ".changeset",
    ".circleci", ".clang-format", ".clang-format-ignore", ".clang-tidy", ".clippy.toml",
    ".codespellrc", ".coveragerc", ".credo.exs", ".cruft.json", ".dockerignore", ".drone.yml",
    ".editorconfig", ".empty", ".eslintignore", ".eslintrc", ".eslintrc.cjs", ".eslintrc.js",
    ".eslintrc.json", ".eslintrc.yaml", ".eslintrc.yml", ".fdignore", ".flake8",
    ".formatter.exs", ".gcloudignore", ".git-blame-ignore-revs", ".gitattributes", ".github",
    ".gitignore", ".gitkeep", ".gitlab", ".gitlab-ci.yml", ".gitmodules", ".golangci.toml",
    ".golangci.yaml", ".golangci.yml", ".hadolint.yaml", ".hlint.yaml", ".htaccess",
    ".htmlhintrc", ".ignore", ".isort.cfg", ".jscpd.json", ".jshintrc", ".keep", ".mailmap",
    ".markdownlint-cli2.yaml", ".markdownlint.json", ".markdownlint.yaml", ".markdownlint.yml",
    ".markdownlintignore", ".mocharc.cjs", ".mocharc.js", ".mocharc.json", ".mocharc.yaml",
    ".mocharc.yml", ".node-version", ".nojekyll", ".npmignore", ".npmrc", ".nvmrc", ".nycrc",
    ".nycrc.json", ".ocamlformat", ".php-cs-fixer.dist.php", ".php-cs-fixer.php",
    ".php-version", ".prettierignore", ".prettierrc", ".prettierrc.cjs", ".prettierrc.js",
    ".prettierrc.json", ".prettierrc.mjs", ".prettierrc.toml", ".prettierrc.yaml",
    ".prettierrc.yml", ".pydocstyle", ".pylintrc", ".python-version", ".python-versions",
    ".readthedocs.yaml", ".readthedocs.yml", ".release-please-manifest.json", ".releaserc",
    ".releaserc.json", ".remarkrc.json", ".rgignore", ".rspec", ".rubocop.yml",
    ".rubocop_todo.yml", ".ruby-gemset", ".ruby-version", ".ruff.toml", ".rustfmt.toml",
    ".scalafmt.conf", ".shellcheckrc", ".slugignore", ".sqlfluff", ".storybook", ".style.yapf",
    ".stylelintignore", ".stylelintrc", ".stylelintrc.json", ".swcrc", ".swift-version",
    ".swiftformat", ".swiftlint.yml", ".taplo.toml", ".terraform-version",
    ".terraform.lock.hcl", ".tflint.hcl", ".tool-versions", ".travis.yml", ".typos.toml",
    ".vercelignore", ".vitepress", ".well-known", ".yamllint", ".yamllint.yaml",
    ".yamllint.yml", ".yapfignore", ".yarnrc.yml",
}  # fmt: skip
"""Of a project's build, checks, formatting and CI; ignored files and versions."""
_IN_GITHUB: Final = {
    "actions", "assets", "CODEOWNERS", "ISSUE_TEMPLATE", "PULL_REQUEST_TEMPLATE",
    "renovate.json", "renovate.json5", "scripts", "workflows",
}  # fmt: skip
"""In `.github`, where agents look for theirs too."""
_FORMS: Final = re.compile(
    r"\.(?:env(?:rc|\..*)?|venv[\w.-]*|coverage\..*|tmp_.*"  # direnv asks anew, by itself
    r"|#.*|~lock\..*|nfs[0-9a-f]+|fuse_hidden[0-9a-f]+|.*\.(?:sw[a-p]|tmp|lock|cmd)"
    r"|ninja_(?:deps|log|lock)|cargo-(?:lock|ok|checksum\.json)|cargo_vcs_info\.json"
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
    if folder == ".github":
        return name in _IN_GITHUB or name.endswith(_OF_APPS) or name in granted
    if not name.startswith("."):
        return True
    return name in _KNOWN or name in granted or _FORMS.fullmatch(name) is not None


def is_among_packages(above: Sequence[str]) -> bool:
    """Whether a folder, by the names from the workspace's top to it, lies among packages, in a
    cache, or in what was built.
    """
    return any(
        name in _FOR_PACKAGES or (name.startswith(".") and name != ".github") for name in above
    )
