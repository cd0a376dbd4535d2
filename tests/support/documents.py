"""The policy document that holds where no other is named, with changes."""

from __future__ import annotations

from bailee.policy.loading import content

HELD = content().decode()
LONGER = (
    ('for = "P30D"\nen = "Commercial', 'for = "P90D"\nen = "Commercial'),
    ('at_most = "P30D"', 'at_most = "P90D"'),
    ('exactly = "P30D"\nen = "All other', 'at_most = "P90D"\nen = "All other'),
)
"""Commercial data is kept longer."""

FILES_ALONE = (
    (
        "[credentials]",
        'files = { begins = ["/v1/files"], en = "files", zh = "文件" }\n\n[credentials]',
    ),
    (
        'route = "other", credential = "own" }\nthen = "allow"',
        'route = "other", credential = "own" }\nthen = "deny"',
    ),
    (
        'route = "other", unrecorded_routes = true }\nthen = "allow"',
        'route = "files", cloud_session = false }\nthen = "allow"',
    ),
    ('id = "pass.named-account"', 'id = "pass.files"'),
    (
        'when = { route = "other" }\nthen = "deny"\nen = "The operator\'s',
        'when = { route = ["files", "other"] }\nthen = "deny"\nen = "Nothing passes unrecorded but '
        "files. The operator's",
    ),
    (
        'when = { credential = "own", cloud_session = false }\nalways = "allow"',
        'when = { route = "other" }\nnever = "allow"',
    ),
    (
        "when = { unrecorded_routes = true, cloud_session = false }\nalways",
        'when = { route = "files", cloud_session = false }\nalways',
    ),
)
"""Files pass for everybody, and nothing else does that is no conversation."""


def edited(*changes: tuple[str, str]) -> str:
    """The document, with changes."""
    text = HELD
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    return text


READ_ALONE = (
    *FILES_ALONE,
    (
        'reach = ["model", "region", "residency"]',
        'pass = ["method"]\nreach = ["model", "region", "residency"]',
    ),
    (
        "[credentials]",
        '[methods]\nget = { en = "read", zh = "读取" }\n'
        'other = { en = "with any other method", zh = "其他方法" }\n\n[credentials]',
    ),
    (
        'route = "files", cloud_session = false }',
        'route = "files", method = "get", cloud_session = false }',
    ),
    (
        'when = { route = "files", cloud_session = false }\nalways',
        'when = { route = "files", method = "get", cloud_session = false }\nalways',
    ),
)
"""Nothing passes unrecorded but files, and these are read alone."""
