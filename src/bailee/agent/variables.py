"""Which of a person's variables a command gets: those of this list, and those that the person
names. Pure.

What is not known to be harmless stays outside: credentials have any name (PGPASSWORD,
DATABASE_URL).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

_NAMES: Final = """
    CI COLORTERM COLUMNS CLICOLOR CLICOLOR_FORCE EDITOR EMAIL FORCE_COLOR HOME LANG LANGUAGE LINES
    LOGNAME LS_COLORS NO_COLOR PATH SHELL SOURCE_DATE_EPOCH TERM TMPDIR TZ USER VISUAL
    GIT_AUTHOR_EMAIL GIT_AUTHOR_NAME GIT_COMMITTER_EMAIL GIT_COMMITTER_NAME CURL_CA_BUNDLE
    NODE_EXTRA_CA_CERTS REQUESTS_CA_BUNDLE SSL_CERT_DIR SSL_CERT_FILE ANDROID_HOME
    ANDROID_SDK_ROOT AR BUNDLE_PATH CARGO_HOME CARGO_TARGET_DIR CC CFLAGS CMAKE_PREFIX_PATH
    CONDA_DEFAULT_ENV CONDA_PREFIX CPATH CPPFLAGS CXX CXXFLAGS DOTNET_ROOT GEM_HOME GEM_PATH GOBIN
    GOFLAGS GOMODCACHE GOPATH GOROOT GOTOOLCHAIN GRADLE_HOME JAVA_HOME JDK_HOME LD LDFLAGS
    LD_LIBRARY_PATH LIBRARY_PATH M2_HOME MAKEFLAGS MAVEN_HOME NODE_ENV NODE_OPTIONS NODE_PATH
    NVM_BIN NVM_DIR NVM_INC PKG_CONFIG_PATH PYENV_ROOT PYENV_VERSION PYTHONDONTWRITEBYTECODE
    PYTHONHASHSEED PYTHONPATH PYTHONUNBUFFERED PYTHONWARNINGS RBENV_ROOT RUSTC_WRAPPER RUSTFLAGS
    RUSTUP_HOME RUSTUP_TOOLCHAIN RUST_LOG RUST_BACKTRACE SDKMAN_DIR VIRTUAL_ENV VOLTA_HOME
"""
_KNOWN: Final = frozenset(_NAMES.split())
PROXIES: Final = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


def for_commands(
    given: Mapping[str, str], granted: Iterable[str] = (), *, proxies: bool = False
) -> dict[str, str]:
    """The variables of a command. `granted`: names that the person adds; `proxies`: with the
    person's proxy, whose address may hold a password.
    """
    more = frozenset(granted)
    return {
        name: value
        for name, value in given.items()
        if name in _KNOWN
        or name in more
        or name.startswith("LC_")
        or (proxies and name.upper() in PROXIES)
    }
