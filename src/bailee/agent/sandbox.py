"""Running commands in a bubblewrap sandbox.

Inside: the whole file system read-only, the workspace writable, a /tmp of its own, no other
processes, no way to the session's sockets and keys, and no network but what `egress` lets through,
if the settings allow hosts. What later programs would obey in the
workspace (git's hooks and configuration) is read-only too, so that nothing written inside runs
outside later. `arguments` is the whole of the policy and computes only; `find` tries it out.

Environment variables that look like credentials never reach a command, sandbox or not.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from bailee.words import Words

_CREDENTIAL: Final = re.compile(
    r"(?:^|_)(?:API_?KEY|KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?|AUTH)(?:_|$)", re.IGNORECASE
)
_PREFIXES: Final = ("ANTHROPIC_", "AWS_", "BAILEE_", "CLAUDE_")
# Under the person's home: hidden, where they exist.
_HIDDEN: Final = (
    *(".ssh", ".gnupg", ".aws", ".azure", ".kube", ".docker", ".netrc", ".pgpass"),
    *(".git-credentials",),
    *(".config/gcloud", ".config/gh", ".config/git/credentials", ".config/bailee", ".claude"),
    *(".npmrc", ".pypirc", ".password-store", ".local/share/keyrings", ".local/share/bailee"),
    *(".local/state/bailee", ".mozilla", ".config/google-chrome", ".codex", ".gemini", ".bailee"),
    *(".bash_history", ".zsh_history", ".python_history"),
)  # fmt: skip
_PROXIES: Final = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
_SOCKET: Final = Path("/tmp/bailee-egress")  # noqa: S108 - in the sandbox's own
_RELAY_INSIDE: Final = Path("/tmp/bailee-relay.py")  # noqa: S108
_PORT: Final = 3128
_RELAY: Final = Path(__file__).with_name("relay.py")
_READ_ONLY: Final = (
    *(".git/hooks", ".git/config", ".bailee", ".claude", ".vscode", ".idea", ".mcp.json"),
)


Why = Literal["off", "missing", "broken", "forbidden"]


@dataclass(frozen=True, slots=True)
class Sandbox:
    """Whether commands run in a sandbox, and in which. `program` None: they don't, and `why` names
    why not. `hosts`: what commands may reach, by the proxy alone.
    """

    program: str | None
    why: Why = "off"
    hosts: tuple[str, ...] = ()
    hidden: tuple[Path, ...] = ()

    def label(self, words: Words) -> str:
        """A word or two for the status line."""
        if self.program is None:
            return words("sandbox.label_none")
        if not self.hosts:
            return words("sandbox.label_closed")
        return words.count("sandbox.label_hosts", len(self.hosts))

    def sentence(self, words: Words) -> str:
        """What the model is told, and a person."""
        if self.program is None:
            return words("sandbox.none", why=words(f"sandbox.why_{self.why}"))
        if not self.hosts:
            return words("sandbox.closed")
        return words("sandbox.hosts", hosts=words("list.comma").join(self.hosts))

    def wrap(
        self,
        command: Sequence[str],
        roots: Sequence[Path],
        home: Path,
        egress: Path | None = None,
    ) -> list[str]:
        """The command line that runs `command`; `egress` is the proxy's socket."""
        if self.program is None:
            return list(command)
        return arguments(self.program, command, roots, home, egress=egress, hidden=self.hidden)

    def environment(self, given: Mapping[str, str]) -> dict[str, str]:
        """What of the person's variables a command gets. In the sandbox their proxy, whose address
        may hold a password, is out of reach: programs are led to the sandbox's own, if it has one.
        """
        made = without_credentials(given)
        if self.program is None:
            return made
        made = {name: value for name, value in made.items() if name.upper() not in _PROXIES}
        if not self.hosts:
            return made
        at = f"http://127.0.0.1:{_PORT}"
        led = {name: at for proxy in _PROXIES[:3] for name in (proxy, proxy.lower())}
        return {**made, **led, "NO_PROXY": "", "no_proxy": "", "NODE_USE_ENV_PROXY": "1"}


def arguments(
    program: str,
    command: Sequence[str],
    roots: Sequence[Path],
    home: Path,
    *,
    egress: Path | None = None,
    hidden: Sequence[Path] = (),
) -> list[str]:
    """The command line of bubblewrap. `roots` are writable, the first is the working folder;
    `egress` is the socket of the proxy that is the only way out, if there is one.
    """
    made = [
        program, "--die-with-parent", "--new-session", "--unshare-user-try", "--unshare-pid",
        "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try", "--cap-drop", "ALL",
        "--unshare-net", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc",
    ]  # fmt: skip
    under = {Path("/tmp"), Path("/var/tmp"), Path("/run")}  # noqa: S108 - made anew inside
    for folder in sorted(under):
        if folder.is_dir() and not folder.is_symlink():
            made += ["--tmpfs", str(folder)]
    if any(folder in home.parents for folder in under):
        made += ["--ro-bind-try", str(home), str(home)]
    for root in roots:
        made += ["--bind", str(root), str(root)]
        if (root / ".git").is_dir():  # a mount of its own can't be renamed and put anew
            made += ["--bind", str(root / ".git"), str(root / ".git")]
        for name in _READ_ONLY:
            if (root / name).exists():
                made += ["--ro-bind", str(root / name), str(root / name)]
    for secret in (*(home / name for name in _HIDDEN), *hidden):
        if any(secret == root or secret in root.parents for root in roots):
            continue
        if secret.is_dir():
            made += ["--tmpfs", str(secret)]
        elif secret.exists():
            made += ["--ro-bind", "/dev/null", str(secret)]
    if egress is not None:
        made += ["--bind", str(egress), str(_SOCKET), "--ro-bind", str(_RELAY), str(_RELAY_INSIDE)]
        for prefix in (Path(sys.prefix), Path(sys.base_prefix)):
            if any(folder in prefix.parents for folder in under):
                made += ["--ro-bind", str(prefix), str(prefix)]
        relay = (sys.executable, "-I", "-S", str(_RELAY_INSIDE), str(_SOCKET), str(_PORT))
        command = [*relay, *command]
    return [*made, "--chdir", str(roots[0]), "--", *command]


def find(*, wanted: bool = True, hosts: Sequence[str] = (), hidden: Sequence[Path] = ()) -> Sandbox:
    """The sandbox this machine has, tried out once."""
    if not wanted:
        return Sandbox(None, "off")
    program = shutil.which("bwrap")
    if program is None:
        return Sandbox(None, "missing")
    trial = arguments(program, ["true"], [Path("/")], Path("/nonexistent"))
    trial[trial.index("--bind") : trial.index("--chdir")] = []
    try:
        done = subprocess.run(trial, capture_output=True, timeout=10, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return Sandbox(None, "broken")
    if done.returncode != 0:
        return Sandbox(None, "forbidden")
    return Sandbox(program, hosts=tuple(hosts), hidden=tuple(hidden))


def without_credentials(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment that a command gets."""
    return {
        name: value
        for name, value in environment.items()
        if name not in ("SSH_AUTH_SOCK", "DBUS_SESSION_BUS_ADDRESS")
        and not looks_like_a_credential(name)
    }


def looks_like_a_credential(name: str) -> bool:
    """Whether a variable of that name may hold one."""
    return name.startswith(_PREFIXES) or _CREDENTIAL.search(name) is not None


def home_of(environment: Mapping[str, str]) -> Path:
    """The person's home."""
    return Path(environment.get("HOME") or Path.home())
