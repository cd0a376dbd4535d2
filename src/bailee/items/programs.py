"""Programs that ask a model's API, by their own word. Pure."""

from __future__ import annotations

from typing import Final

PROGRAMS: Final = {
    "claude-cli": "claude-code",
    "claude-code": "claude-code",
    "bailee-code": "bailee-code",
    "bailee": "bailee-code",
    "codex_cli_rs": "codex",
    "codex_exec": "codex",
    "codex-tui": "codex",
    "geminicli": "gemini-cli",
    "geminicli-": "gemini-cli",
    "opencode": "opencode",
    "aider": "aider",
    "litellm": "litellm",
    "anthropic": "anthropic-sdk",
    "asyncanthropic": "anthropic-sdk",
    "openai": "openai-sdk",
    "asyncopenai": "openai-sdk",
    "google-genai-sdk": "google-sdk",
    "curl": "curl",
}
"""What they are called here, by what their User-Agent begins with."""

NAMES: Final = frozenset(PROGRAMS.values())

NOTED: Final = "x-bailee-client"
"""As what a record has the program's name, beside the fields of the request's head."""

_BY_FIELD: Final = {
    "x-claude-code-session-id": "claude-code",
    "x-codex-parent-thread-id": "codex",
}
_BY_WORDS: Final = (
    ("You are Claude Code", "claude-code"),
    ("Claude Agent SDK", "claude-code"),
    ("Codex CLI", "codex"),
    ("Gemini CLI", "gemini-cli"),
    ("You are opencode", "opencode"),
    ("bailee code", "bailee-code"),
)
_LOOKED_INTO: Final = 2_000  # characters of its instructions


def program(fields: list[list[str]], instructions: str) -> str:
    """The program that sent a request: as it is noted in its record; of one from before that was
    noted, as its other fields or the beginning of its instructions tell. "" where nothing does.
    """
    named = {one[0]: one[1] for one in fields if len(one) > 1}
    if named.get(NOTED) in NAMES:
        return named[NOTED]
    for field, name in _BY_FIELD.items():
        if field in named:
            return name
    beginning = instructions[:_LOOKED_INTO]
    return next((name for words, name in _BY_WORDS if words in beginning), "")
