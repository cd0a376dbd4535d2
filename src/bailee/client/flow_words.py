"""What `bailee flows` says, in Chinese. Pure.

The texts of the document's flows come from the document, in both languages. The others, and who
decided, are said in English where they are found out (`flows`), and put into Chinese here: by the
whole text, or by a form with names in it. A text that is not known stays as it is.

Rows: S7.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from bailee.client.flows import Flow

_TEXTS: Final = {
    "Model": "模型",
    "GitHub issue": "GitHub 议题",
    "Web pages": "网页",
    "MCP servers": "MCP 服务器",
    "Commands": "命令",
    "The work itself: prompts, the code that belongs to them, the model's answers.": (
        "工作本身：提示、相关的代码、模型的回答。"
    ),
    "A draft that the person edits first, without the transcript, secrets taken out.": (
        "由个人先行编辑的草稿，不含会话记录，密钥已去除。"
    ),
    "Addresses of pages that the model asks for.": "模型所请求的网页的地址。",
    "What the model asks of servers that you have set up.": "模型向您所设置的服务器发出的请求。",
    "What commands send that the model asks for and a person or a rule permits.": (
        "模型请求、由个人或规则准许的命令所发送的内容。"
    ),
    "nowhere": "无",
    "anywhere": "任何地方",
    "any public host": "任何公共主机",
    "the default": "默认",
    "no feedbackRepository being set": "未设置 feedbackRepository",
    "no server being set up": "未设置服务器",
    "no host being in sandbox.network": "sandbox.network 中没有主机",
    "bubblewrap not being installed here": "本机未安装 bubblewrap",
}
_SCOPES: Final = {
    "managed": "受管",
    "command line": "命令行",
    "environment": "环境变量",
    "project local": "项目本地",
    "project": "项目",
    "user": "用户",
}
_WHERE: Final = rf"(?P<scope>{'|'.join(_SCOPES)})(?: settings, (?P<place>.+?))?"
_FORMS: Final = tuple(
    (re.compile(form), chinese)
    for form, chinese in (
        (r"the default for provider (?P<name>\S+)", "提供商 {name} 的默认值"),
        (
            rf"{_WHERE}, which is not understood: (?P<name>\S+) counts as set",
            "{where}未能读懂：{name} 视为已设置",
        ),
        (
            rf"(?P<name>\S+) in {_WHERE} \(any value counts, this one too\)",
            "{where}中的 {name}（任何值都算数，此值也算）",
        ),
        (rf"(?P<name>\S+) in {_WHERE}", "{where}中的 {name}"),
        (r"MCP server (?P<name>.+)", "MCP 服务器 {name}"),
        (r"a program here: (?P<name>.+)", "本机程序：{name}"),
    )
)


def in_chinese(flow: Flow) -> Flow:
    """The same flow, in Chinese words."""
    return replace(
        flow,
        label=said(flow.label),
        destination=said(flow.destination),
        carries=said(flow.carries),
        decided_by=said(flow.decided_by),
    )


def said(text: str) -> str:
    """A text of `flows` in Chinese."""
    if text in _TEXTS:
        return _TEXTS[text]
    for form, chinese in _FORMS:
        found = form.fullmatch(text)
        if found is not None:
            parts = found.groupdict()
            return chinese.format(name=parts["name"], where=_where(parts))
    return text


def _where(parts: dict[str, str | None]) -> str:
    if parts.get("scope") is None:
        return ""
    scope = _SCOPES[str(parts["scope"])]
    return scope if parts["place"] is None else f"{scope}设置（{parts['place']}）"
