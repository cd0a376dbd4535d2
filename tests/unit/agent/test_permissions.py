"""What rules allow, ask for and deny."""

from __future__ import annotations

import shlex
import subprocess

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bailee.agent import shell
from bailee.agent.mcp_servers import name_of
from bailee.agent.permissions import (
    PermissionRules,
    matches,
    parse_rule,
    parse_rules,
    rule_to_remember,
)
from bailee.agent.ports import Intent
from bailee.errors import InputError


def bash(command: str) -> Intent:
    """The intent of a command."""
    return Intent("Bash", command, "Run", command, "command")


def edit(subject: str, **more: object) -> Intent:
    """The intent of an edit."""
    return Intent("Edit", subject, f"Edit {subject}", **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rule", "command", "allowed"),
    [
        ("Bash", "rm -rf /", True),
        ("Bash(make test)", "make test", True),
        ("Bash(make test)", "make test; rm x", False),
        ("Bash(git diff:*)", "git diff", True),
        ("Bash(git diff *)", "git diff --stat HEAD~1", False),  # ~ is expanded by the shell
        ("Bash(git diff:*)", "git diff --stat 'HEAD~1' 2>&1", True),
        ("Bash(git diff:*)", "git difftool", False),
        ("Bash(git:*)", "git log --oneline | git shortlog", True),
        ("Bash(git:*)", "git log && rm x", False),
        ("Bash(git:*)", "git log\nrm x", False),
        ("Bash(git:*)", "git log & rm x", False),
        ("Bash(git:*)", "git log $(rm x)", False),
        ("Bash(git:*)", "git log `rm x`", False),
        ("Bash(git:*)", 'git log "$(rm x)"', False),
        ("Bash(git:*)", "git log <(rm x)", False),
        ("Bash(git:*)", "git log > .bashrc", False),
        ("Bash(git:*)", "git log 2>/dev/null", True),
        ("Bash(git:*)", "git log >/dev/null/../../etc/x", False),
        ("Bash(git:*)", "LD_PRELOAD=x git log", False),
        ("Bash(git:*)", "{ git log; }", False),
        ("Bash(git:*)", "git() { rm x; }", False),
        ("Bash(git:*)", "git lo\\\ng", False),
        ("Bash(git:*)", "if git log", False),
        ("Bash(git:*)", "git log # and more", False),
        ("Bash(git:*)", "git log <<x\nrm\nx", False),
        ("Bash(git:*)", "git log \u00a0", False),
        ("Bash(git:*)", "'git' \"log\"", True),
        ("Bash(git:*)", "", False),
        ("Edit", "git log", False),
    ],
)
def test_a_prefix_allows_only_what_it_wholly_covers(rule: str, command: str, allowed: bool) -> None:
    """Each command of the line has to begin so, and the line has to be plain."""
    assert allowed is matches(parse_rule(rule), bash(command))


words = st.text("abc-./=", min_size=1, max_size=4)
joints = st.sampled_from(
    [" ; ", "&&", "||", " | ", "\n", "&", " $(", "`", " > ", "(", "{ ", "'", '"']
)
lines = st.lists(words | joints | st.just(" "), max_size=10).map("".join)


@given(lines)
def test_a_plain_line_runs_nothing_but_the_commands_that_were_read(line: str) -> None:
    """Bash itself, asked what it would run, agrees with a reading that is called plain."""
    reading = shell.read(line)
    if not reading.plain:
        return
    functions = "command_not_found_handle() { printf '%s\\0' \"$1\"; }; PATH=; "
    done = subprocess.run(
        ["/bin/bash", "-c", f"{functions} set +e; {_without_joints(line)}"],
        capture_output=True,
        timeout=10,
        check=False,
        cwd="/",
    )
    ran = {name for name in done.stdout.decode().split("\0") if name}
    assert ran <= {command[0] for command in reading.commands}


def _without_joints(line: str) -> str:
    """Every command of the line runs, whatever came of the one before, and says so here."""
    return line.replace("&&", ";").replace("||", ";").replace("|", ";").replace("&", ";\n:;")


@given(st.lists(st.text(max_size=5), min_size=1, max_size=5))
def test_quoted_words_are_read_as_the_words_they_are(given_words: list[str]) -> None:
    """What shlex quotes is either read back exactly or not called plain."""
    reading = shell.read(shlex.join(given_words))

    if reading.plain:
        assert (tuple(given_words),) == reading.commands


def test_denying_needs_only_one_command_of_the_line() -> None:
    """A denied prefix is found behind others, and in what is not plain."""
    rules = PermissionRules(allow=parse_rules(["Bash"]), deny=parse_rules(["Bash(git push:*)"]))

    assert "allow" == rules.decide(bash("git pull")).effect
    for command in ("ls; git push -f", "x=$(git push)", "(git push)", "`git push origin`"):
        assert "deny" == rules.decide(bash(command)).effect


@pytest.mark.parametrize(
    ("rule", "subject", "allowed"),
    [
        ("Edit", "a/b.py", True),
        ("Edit(src/**)", "src/a/b.py", True),
        ("Edit(src/**)", "srcs/a", False),
        ("Edit(*.py)", "a.py", True),
        ("Edit(*.py)", "a/b.py", False),
        ("Edit(**/*.py)", "b.py", True),
        ("Edit(**/*.py)", "a/c/b.py", True),
        ("Edit(//etc/*)", "/etc/hosts", True),
        ("Edit(//etc/*)", "etc/hosts", False),
        ("Edit(a?c)", "abc", True),
        ("Edit(a.c)", "abc", False),
        ("Edit(**)", "a/b", True),
        ("Edit(**)", "/etc/hosts", False),
        ("Edit(~/x)", "~/x", False),  # a folder named ~ in the workspace
    ],
)
def test_patterns_of_paths(rule: str, subject: str, allowed: bool) -> None:
    """A star stays within its folder, two cross folders, everything else is itself."""
    assert allowed is matches(parse_rule(rule), edit(subject))


@pytest.mark.parametrize("rule", ["~/.ssh/**", "//home/ann/.ssh/id", "//home/**", "keys/*"])
def test_a_file_is_known_by_each_of_its_names(rule: str) -> None:
    """From the home, absolute, and as it was asked for: a deny holds, whatever allows it."""
    names = ("/home/ann/.ssh/id", "~/.ssh/id")
    intent = Intent("Read", names[0], "Read", names=names, spelled="keys/id")
    allow = parse_rules(["Read", "Read(//home/**)", "Read(~/**)"])

    assert "allow" == PermissionRules(allow).decide(intent).effect
    assert (
        "deny" == PermissionRules(allow, deny=parse_rules([f"Read({rule})"])).decide(intent).effect
    )
    assert (rule != "keys/*") is matches(parse_rule(f"Read({rule})"), intent)


@pytest.mark.parametrize(
    "command",
    ["rm x", "/bin/rm x", "command rm x", "env rm x", "env -i A=b /usr/bin/rm x", "A=b rm x",
     "sudo -u root rm x", "xargs rm < x", "timeout 5 rm x", "nohup nice -n 5 rm x", "\\rm x",
     "sh -c 'rm x'", "bash -c \"cd /; sh -c 'rm x'\"", "ls; find . -exec rm {} +", "r\"m\" x",
     "time rm x", "eval 'rm x'", "if ls; then rm x; fi", "while read l; do rm x; done", "! rm x",
     "busybox rm x", "flock l ionice rm x", "script -c 'rm x'", "trap 'rm x' EXIT"],
)  # fmt: skip
def test_a_denied_program_is_itself_however_it_is_called(command: str) -> None:
    """By its path, behind what runs other programs, within a text for a shell."""
    rules = PermissionRules(allow=parse_rules(["Bash"]), deny=parse_rules(["Bash(rm:*)"]))

    assert "deny" == rules.decide(bash(command)).effect
    for other in ("echo rm", "git rm x", "rmdir x", "ls rm", "env FOO=rm ls"):
        assert "allow" == rules.decide(bash(other)).effect


def test_options_before_a_subcommand_hide_nothing() -> None:
    """`git -C x push` is `git push` to a deny; a whole command is found within a line."""
    rules = PermissionRules(
        allow=parse_rules(["Bash"]), deny=parse_rules(["Bash(git push:*)", "Bash(make clean)"])
    )

    for line in ("git -C a push", "git -c a=b --no-pager push", "ls && make clean", "env git push"):
        assert "deny" == rules.decide(bash(line)).effect
    for line in ("git stash push", "make clean all", "git log push"):
        assert "allow" == rules.decide(bash(line)).effect


@pytest.mark.parametrize(
    ("rule", "command", "allowed"),
    [
        ("git diff", "git diff --output=.bashrc", False),
        ("git diff", "git diff --outpu .bashrc", False),
        ("git diff", "git diff --no-index /etc/shadow x", False),
        ("git diff", "git diff --ext-diff", False),
        ("git diff", "git diff --stat --cached", True),
        ("git diff", "git diff -- --output=x", True),
        ("git log", "git log --output=x", False),
        ("git grep", "git grep -O./evil x", False),
        ("git grep", "git grep -nO./evil x", False),
        ("git grep", "git grep -n x", True),
        ("git rebase", "git rebase -x ./evil main", False),
        ("git rebase", "git rebase --exec=./evil main", False),
        ("git fetch", "git fetch --upload-pack=./evil .", False),
        ("git archive", "git archive -o .bashrc HEAD", False),
        ("git commit", "git commit -qm x -o a", True),
        ("git commit", "git commit -aF /home/ann/.ssh/id_rsa", False),
        ("git tag", "git tag -a v1 --file=/home/ann/.netrc", False),
        ("git blame", "git blame --contents /home/ann/.netrc a", False),
        ("git clone", "git clone --config core.fsmonitor=./evil . x", False),
        ("git init", "git init --separate-git-dir=/srv/x", False),
        ("git diff", "git diff /home/ann/.netrc /dev/null", False),
        ("git diff", "git diff a ../../home/ann/.netrc", False),
        ("git diff", "git diff main..side a", True),
        ("git diff", "git diff *", False),
        ("git diff", "git diff --outp*", False),
        ("git diff", "git diff -- *.py ''", True),
        ("git log", "git log ''", True),
        ("git notes", "git notes add -F /home/ann/.netrc", False),
        ("git submodule", "git submodule foreach ./evil", False),
        ("git submodule", "git submodule update", True),
        ("git bisect", "git bisect run ./evil", False),
        ("git", "git diff --output=x", True),
        ("git diff --output=x", "git diff --output=x", True),
    ],
)
def test_an_option_that_does_more_is_not_covered_by_a_prefix(
    rule: str, command: str, allowed: bool
) -> None:
    """Files written, programs run and files outside read by an option are asked about."""
    assert allowed is matches(parse_rule(f"Bash({rule}:*)"), bash(command))


def test_a_servers_rule_is_for_no_other_server() -> None:
    """Where a server's name ends is certain, whatever it is called."""
    rule = parse_rule("mcp__github")

    assert matches(rule, Intent(name_of("github", "evil__create"), "", ""))
    for other in ("github__evil", "github_", "github__", "github._x", "_github_", "服务"):
        assert not matches(rule, Intent(name_of(other, "create"), "", ""))


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("https://docs.example.org/x", True),
        ("https://docs.example.org:8443/x", True),
        ("https://a.docs.example.org/", False),
        ("https://docs.example.org.evil.test/", False),
        ("https://docs.example.org@evil.test/", False),
        ("https://evil.test/?docs.example.org", False),
        ("https://evil.test#@docs.example.org/", False),
        ("https://evil.test\\@docs.example.org/", False),
    ],
)
def test_a_domain_is_the_host_and_nothing_else(address: str, allowed: bool) -> None:
    """What only looks like the domain is not allowed."""
    intent = Intent("WebFetch", address, "Fetch")

    assert allowed is matches(parse_rule("WebFetch(domain:docs.example.org)"), intent)


def test_deny_wins_over_ask_over_allow_and_what_is_guarded_is_asked() -> None:
    """The more careful rule decides, and says so."""
    (rule,) = parse_rules(["Edit(a)"])

    assert "deny" == PermissionRules((rule,), (rule,), (rule,)).decide(edit("a")).effect
    assert "ask" == PermissionRules((rule,), (rule,)).decide(edit("a")).effect
    assert "allow" == PermissionRules((rule,)).decide(edit("a")).effect
    assert "ask" == PermissionRules((rule,)).decide(edit("a", guarded="hooks")).effect
    assert "ask" == PermissionRules().decide(edit("a")).effect
    assert "allow" == PermissionRules().decide(edit("a", harmless=True)).effect
    assert "the rule Edit(a) denies it." == PermissionRules(deny=(rule,)).decide(edit("a")).why


@pytest.mark.parametrize("text", ["", "Edit(", "Edit()", "a b(c", "(x)", "Edit)x("])
def test_what_is_no_rule_is_refused(text: str) -> None:
    """A rule that can't be read allows nothing: it is an error."""
    with pytest.raises(InputError) as caught:
        parse_rule(text)
    assert "configuration" == caught.value.code


def test_several_rules_in_one_text() -> None:
    """Commas and spaces part rules; those within parentheses don't."""
    found = parse_rules(["Edit, Bash(git diff:*) Read", "mcp__x"])

    assert ["Edit", "Bash(git diff:*)", "Read", "mcp__x"] == [str(rule) for rule in found]


@pytest.mark.parametrize(
    ("intent", "rule"),
    [
        (bash("git commit -m x"), "Bash(git commit:*)"),
        (bash("pytest -q && pytest -x"), "Bash(pytest:*)"),
        (bash("pytest; ls"), None),
        (bash("rm x"), None),
        (bash("sudo ls"), None),
        (bash("python3.11 x.py"), None),
        (bash("/usr/bin/env x"), None),
        (bash("uv run x"), None),
        (bash("git -C / log"), None),
        (bash("ls > x"), None),
        (edit("src/a.py"), "Edit"),
        (edit("/etc/x"), None),
        (edit(".git/hooks/x", guarded="hooks"), None),
        (Intent("WebFetch", "https://a.test/x", ""), "WebFetch(domain:a.test)"),
        (Intent("mcp__a__b", "", ""), "mcp__a__b"),
        (Intent("Read", "/etc/x", ""), None),
    ],
)
def test_always_is_offered_only_where_it_is_narrow(intent: Intent, rule: str | None) -> None:
    """No rule is offered that would let through what nobody read."""
    assert rule == rule_to_remember(intent)


@given(lines)
@example("' /a'")
def test_what_is_remembered_allows_what_was_asked(line: str) -> None:
    """What is always allowed covers at least the command that it was said to."""
    offered = rule_to_remember(bash(line))

    assert offered is None or matches(parse_rule(offered), bash(line))
