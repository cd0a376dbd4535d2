"""What import contracts can't say: what is imported when, and what "pure" means.

The arrows between packages are contracts in pyproject.toml, held by `make check`. Here are the
rules that need to know where in a file an import stands, or what a module says of itself.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import grimp
import pytest

from bailee.accounts.roles import Permission
from support.sources import parsed

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src"

# What a pure module may not have: a way to the world, to the time or to chance. `pathlib` and
# `importlib` stay allowed, since a path is a value; what reads is caught by ACTS.
IMPURE = {
    *("asyncio", "concurrent", "ctypes", "fcntl", "http", "logging", "mmap"),
    *("multiprocessing", "os", "random", "secrets", "select", "shutil", "signal", "socket"),
    *("sqlite3", "ssl", "subprocess", "sys", "tempfile", "threading", "time", "urllib", "uuid"),
}
ACTS = {
    *("open", "print", "input", "now", "today", "utcnow", "read_text", "read_bytes"),
    *("write_text", "write_bytes", "unlink", "mkdir", "urandom", "token_bytes"),
}
# Parts of impure packages that compute and nothing else: splitting text, names of status codes.
HARMLESS = {"urllib.parse", "http"}
MOST_ANY = 51
# Compute and nothing else, but do not come with Python.
PURE_PACKAGES = {
    *("orjson", "msgspec", "zstandard", "brotli", "cryptography", "lz4"),
    *("ahocorasick_rs", "stdnum", "tomli_w"),
}


def sources() -> dict[str, Path]:
    """Every module of bailee by its dotted name."""
    found = {}
    for path in sorted((SOURCE / "bailee").rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = path
    return found


MODULES = sources()


def parse(module: str) -> ast.Module:
    """The syntax tree of a module."""
    return parsed(MODULES[module])


def at_import_time(tree: ast.AST) -> Iterator[ast.stmt]:
    """Import statements that run on import: neither in functions nor for type checkers alone."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        yield from at_import_time(node)


def names_in(statement: ast.stmt, module: str) -> Iterator[str]:
    """The dotted names that an import statement may import, as far as they are modules."""
    if isinstance(statement, ast.Import):
        for alias in statement.names:
            yield alias.name
    elif isinstance(statement, ast.ImportFrom):
        base = statement.module or ""
        if statement.level:
            package = module.split(".")
            if MODULES[module].name != "__init__.py":
                package = package[:-1]
            package = package[: len(package) - statement.level + 1]
            base = ".".join([*package, *([base] if base else [])])
        yield base
        for alias in statement.names:
            if f"{base}.{alias.name}" in MODULES:
                yield f"{base}.{alias.name}"


@cache
def imported_by(module: str) -> list[str]:
    """The names of what is imported when a module is."""
    found = (names_in(statement, module) for statement in at_import_time(parse(module)))
    return [name for names in found for name in names]


def pulled_in(start: str) -> dict[str, tuple[str, ...]]:
    """Everything that importing `start` imports, each with the chain that leads there."""
    chains: dict[str, tuple[str, ...]] = {}
    waiting: list[tuple[str, tuple[str, ...]]] = [(start, ())]
    while waiting:
        name, chain = waiting.pop()
        if name in chains:
            continue
        chains[name] = (*chain, name)
        if name not in MODULES:
            continue
        parent = name.rpartition(".")[0]
        if parent:
            waiting.append((parent, chain))
        waiting += [(found, chains[name]) for found in imported_by(name)]
    return chains


def base_packages() -> set[str]:
    """The import names of what the base install brings."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {re.split(r"[^a-z0-9_-]", line)[0].replace("-", "_") for line in project["dependencies"]}


def base_modules() -> list[str]:
    """What has to be importable on a person's machine: the policy, the registry, every command."""
    return [
        name
        for name in MODULES
        if name.split(".")[:2] in (["bailee", "policy"], ["bailee", "registry"], ["bailee", "cli"])
        or name in ("bailee", "bailee.errors", "bailee.clock", "bailee.config")
    ]


@pytest.mark.parametrize("module", base_modules())
def test_the_base_install_is_enough_to_import(module: str) -> None:
    """The policy and the command line import nothing that only an extra brings."""
    allowed = base_packages() | set(sys.stdlib_module_names) | {"bailee"}

    strangers = {
        " -> ".join(chain)
        for name, chain in pulled_in(module).items()
        if name.split(".")[0] not in allowed
    }

    assert set() == strangers


@cache
def pure_modules() -> list[str]:
    """Modules whose docstring has a line that begins with `Pure.` or `Pure:`."""
    word = re.compile(r"\bPure[.:]")
    somewhere = [name for name, path in MODULES.items() if word.search(path.read_text())]
    return [name for name in somewhere if word.search(ast.get_docstring(parse(name)) or "")]


@pytest.mark.parametrize("module", pure_modules())
def test_a_module_that_says_it_is_pure_imports_nothing_that_acts(module: str) -> None:
    """No import of a pure module leads to the world, the time or chance."""
    tree = parse(module)
    found = {
        name.split(".")[0]
        for statement in ast.walk(tree)
        if isinstance(statement, ast.Import | ast.ImportFrom)
        for name in names_in(statement, module)
        if name not in HARMLESS
    }

    allowed = (set(sys.stdlib_module_names) - IMPURE) | PURE_PACKAGES | {"bailee"}

    assert set() == found - allowed


@pytest.mark.parametrize("module", pure_modules())
def test_a_module_that_says_it_is_pure_does_not_act(module: str) -> None:
    """A pure module calls nothing that reads the clock, opens a file or prints."""
    called = {
        (node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", ""))
        for node in ast.walk(parse(module))
        if isinstance(node, ast.Call)
    }

    assert set() == called & ACTS


def test_no_module_is_named_for_nothing() -> None:
    """No module or package is called utils, helpers, common, core or manager."""
    nothing = {"utils", "util", "helpers", "helper", "common", "core", "manager", "misc"}

    assert set() == {name for name in MODULES if nothing & set(name.split("."))}


def test_every_package_of_the_tree_is_in_the_layers() -> None:
    """The layers name every package there is, so that no one escapes the contract unseen."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (layers,) = [c for c in config["contracts"] if c["type"] == "layers"]
    placed = {re.sub(r"[() ]", "", n) for line in layers["layers"] for n in line.split("|")}
    there = {name.split(".")[1] for name in MODULES if "." in name}

    assert set() == there - placed - set(layers["exhaustive_ignores"])


# Packages whose modules name each other's types in a circle. Each that is taken apart goes from
# here, and none comes in.
CIRCLES_OF_TYPES: set[str] = set()


def circles(*, types: bool) -> list[list[str]]:
    """The modules that import each other in a circle; `types`: those counted that are imported for
    types alone.
    """
    graph = grimp.build_graph("bailee", exclude_type_checking_imports=not types, cache_dir=None)
    found: list[list[str]] = []
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    path: list[str] = []

    def visit(module: str) -> None:
        order[module] = lowest[module] = len(order)
        path.append(module)
        for other in graph.find_modules_directly_imported_by(module):
            if other not in order:
                visit(other)
                lowest[module] = min(lowest[module], lowest[other])
            elif other in path:
                lowest[module] = min(lowest[module], order[other])
        if lowest[module] == order[module]:
            at = path.index(module)
            circle = path[at:]
            del path[at:]
            if len(circle) > 1:
                found.append(sorted(circle))

    for module in sorted(graph.modules):
        if module not in order:
            visit(module)
    return found


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Not within a package either; for types alone only where it was so already."""
    assert [] == circles(types=False)
    within = {min(circle).rpartition(".")[0] for circle in circles(types=True)}
    assert CIRCLES_OF_TYPES == within


def test_every_permission_is_asked() -> None:
    """A row of the table that no line of code reads protects nothing."""
    source = "".join(path.read_text() for path in SOURCE.rglob("*.py") if path.name != "roles.py")
    assert [] == [one.name for one in Permission if f"Permission.{one.name}" not in source]


def test_any_becomes_rarer() -> None:
    """What is not known is `object`, which is looked at before it is used. `Any` is for libraries
    without types; the bound is lowered with each that goes, to one for a thousand lines.
    """
    found = sum(
        len(re.findall(r"\bAny\b", line))
        for path in MODULES.values()
        for line in path.read_text().splitlines()
        if not line.lstrip().startswith(("from ", "import "))
    )
    assert found <= MOST_ANY


# The same by contract: an implementation for each platform, say. Empty is best.
SAME_BY_CONTRACT: set[str] = set()


def test_a_class_name_means_one_thing() -> None:
    """No two modules have a public class of one name: who reads it knows which is meant."""
    where: dict[str, list[str]] = {}
    for module in MODULES:
        for node in parse(module).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                where.setdefault(node.name, []).append(module)
    twice = {name: found for name, found in where.items() if len(found) > 1}
    assert {} == {name: twice[name] for name in twice if name not in SAME_BY_CONTRACT}


def test_the_page_of_the_architecture_has_each_package() -> None:
    """Whoever looks for a folder finds what it holds and what it may import."""
    page = (ROOT / "docs/architecture.md").read_text()
    packages = {name.split(".")[1] for name in MODULES if name.count(".") > 1} - {"testing"}
    assert set() == {name for name in packages if f"\n| `{name}/`" not in page}
