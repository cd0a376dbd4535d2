"""Documents of organisations' own."""

from __future__ import annotations

OF_THEIR_OWN = """\
format = "bailee-own-policy/1"

[[retain]]
id = "own.seven-days"
when = { data_class = ["transcript", "cloud_output", "cloud_diff"], zero_retention = false }
then = "keep"
for = "P7D"
en = "We keep conversations for a week."
zh = "我们的会话保留一周。"

[[train]]
id = "own.no-training"
when = {}
then = "deny"
en = "Nothing of ours improves a model."

[[reach]]
id = "own.no-search"
when = { uses = ["web_search", "files"], region = ["us", "eu"] }
then = "deny"
zh = "不使用由提供商搜索的网页，也不使用由其存储的文件。"

[[send]]
id = "own.no-metrics"
when = { flow = "metrics" }
then = "deny"
en = "No metrics from our machines."

[[pass]]
id = "own.no-other"
when = { route = "other" }
then = "deny"
en = "Conversations alone."
"""


def own(*changes: tuple[str, str]) -> str:
    """That document, with changes."""
    text = OF_THEIR_OWN
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text


def kept(days: int, *classes: str) -> str:
    """A document by which these classes are kept for so many days at the most."""
    named = ", ".join(f'"{one}"' for one in classes or ("transcript",))
    return f"""\
format = "bailee-own-policy/1"

[[retain]]
id = "own.days"
when = {{ data_class = [{named}], segment = "commercial", zero_retention = false }}
then = "keep"
for = "P{days}D"
en = "So many days."
"""
