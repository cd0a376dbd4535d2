"""Secrets in what a person is about to send: found, marked, and masked.

Two sources of patterns: the detectors of `detect-secrets`, which others keep up, and a short list
of our own for what these lack or find in part (whole private keys, keys of models' vendors and of
bailee, `.env` lines). No list is complete; that is why the person sees what is sent, and why a
report has parts that can be left out.

Rules kept here:

* A value that is found in one place is masked in every place, so a secret that is recognisable once
  (`password = …`) is gone where it is not (`echo …`).
* Masking keeps which was which: the same value has the same number everywhere.
* It looks at texts as a person wrote them, before JSON puts escapes into them.
* Our own patterns take time in proportion to the text, whatever is in it: what may repeat before
  something else has a bound.

Rows: F1, F2.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Final

_SHORTEST: Final = 6
_LONGEST_LINE: Final = 20_000

# kind → pattern; the group `s`, or the whole, is the secret
OWN: Final[tuple[tuple[str, re.Pattern[str]], ...]] = (
    (
        "private key",
        re.compile(
            r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"
            r"(?:.*?-----END (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----|.*)",
            re.DOTALL,
        ),
    ),
    ("bailee key", re.compile(r"\bbl_[A-Za-z0-9_-]{16,}")),
    ("Anthropic key", re.compile(r"\bsk-ant-[A-Za-z0-9_-]{16,}")),
    ("OpenAI key", re.compile(r"\bsk-(?:proj-|svcacct-|admin-)?[A-Za-z0-9_-]{20,}")),
    ("Google key", re.compile(r"\bAIza[A-Za-z0-9_-]{35}")),
    ("Google OAuth token", re.compile(r"\bya29\.[A-Za-z0-9_-]{20,}")),
    ("Hugging Face token", re.compile(r"\bhf_[A-Za-z0-9]{30,}")),
    ("GitHub token", re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{40,})")),
    ("GitLab token", re.compile(r"\bgl(?:pat|ptt|rt|dt|soat|cbt|ft)-[A-Za-z0-9_.-]{16,}")),
    ("Slack token", re.compile(r"\bxox[a-z]-[A-Za-z0-9-]{10,}")),
    ("Stripe key", re.compile(r"\b[rs]k_(?:live|test)_[A-Za-z0-9]{16,}")),
    ("npm token", re.compile(r"\bnpm_[A-Za-z0-9]{30,}")),
    ("JSON Web Token", re.compile(
            r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*\.?[A-Za-z0-9_-]*"
        )),
    (
        "AWS secret key",
        re.compile(r"(?i)aws.{0,20}?(?:secret|key).{0,20}?['\"=:\s](?P<s>[A-Za-z0-9/+]{40})\b"),
    ),
    (
        "password in an address",
        re.compile(r"\b[a-z][a-z0-9+.-]{0,30}://[^\s:/@'\"]{0,500}:(?P<s>[^\s/@'\"]{3,500})@"),
    ),
    (
        "authorization header",
        re.compile(r"(?i)\b(?:bearer|basic)\s+(?P<s>[A-Za-z0-9+/_.=~-]{16,})"),
    ),
    (
        "password or key",
        re.compile(
            r"(?:PASSWORD|PASSWD|PASSPHRASE|SECRET|TOKEN|API_?KEY|ACCESS_KEY)[A-Z0-9_]{0,60}"
            r"\s?=\s?(?P<q>['\"]?)(?P<s>[^\s'\"$(){}\[\]<>]{6,})(?P=q)"
        ),
    ),
    (
        "password or key",
        re.compile(
            r"(?i)(?:password|passwd|passphrase|secret|token|api[_-]?key|access[_-]?key)"
            r"['\"]?\s{0,20}[:=]\s{0,20}(?P<q>['\"])(?P<s>[^'\"\n]{6,200})(?P=q)"
        ),
    ),
    (
        "password or key",
        re.compile(
            r"(?i)(?:_authToken|--password|--token|--api-key|password|passwd|secret)"
            r"\s{0,20}[=: ]\s{0,20}(?P<s>(?=[^\s]{0,500}\d)[^\s'\"$(){}\[\]<>,;]{8,})"
        ),
    ),
)  # fmt: skip

# Of detect-secrets: all but addresses (no secrets), headers of private keys (the whole is ours).
_LIBRARY: Final = (
    ("artifactory", "ArtifactoryDetector", "Artifactory credential"),
    ("aws", "AWSKeyDetector", "AWS access key"),
    ("azure_storage_key", "AzureStorageKeyDetector", "Azure storage key"),
    ("basic_auth", "BasicAuthDetector", "password in an address"),
    ("cloudant", "CloudantDetector", "Cloudant credential"),
    ("discord", "DiscordBotTokenDetector", "Discord token"),
    ("github_token", "GitHubTokenDetector", "GitHub token"),
    ("gitlab_token", "GitLabTokenDetector", "GitLab token"),
    ("ibm_cloud_iam", "IbmCloudIamDetector", "IBM Cloud key"),
    ("ibm_cos_hmac", "IbmCosHmacDetector", "IBM storage credential"),
    ("jwt", "JwtTokenDetector", "JSON Web Token"),
    ("mailchimp", "MailchimpDetector", "Mailchimp key"),
    ("npm", "NpmDetector", "npm token"),
    ("openai", "OpenAIDetector", "OpenAI key"),
    ("pypi_token", "PypiTokenDetector", "PyPI token"),
    ("sendgrid", "SendGridDetector", "SendGrid key"),
    ("slack", "SlackDetector", "Slack token"),
    ("softlayer", "SoftlayerDetector", "SoftLayer credential"),
    ("square_oauth", "SquareOAuthDetector", "Square secret"),
    ("stripe", "StripeDetector", "Stripe key"),
    ("telegram_token", "TelegramBotTokenDetector", "Telegram token"),
    ("twilio", "TwilioKeyDetector", "Twilio key"),
)


@dataclass(frozen=True, slots=True)
class FoundSecret:
    """A value that looks like a secret. `number` stands for it; `beginning` is for the person's own
    eyes, to tell which it is.
    """

    number: int
    kind: str
    value: str = field(repr=False)
    places: int

    @property
    def beginning(self) -> str:
        """Its first characters, at most a quarter of it."""
        return self.value[: min(4, len(self.value) // 4)].split("\n")[0] + "…"

    @property
    def mask(self) -> str:
        """What stands in its place."""
        return f"[{self.kind} removed, {self.number}]"


@cache
def _detectors() -> tuple[tuple[str, Callable[[str], Iterable[object]]], ...]:
    from importlib import import_module

    found = []
    for module, name, kind in _LIBRARY:
        made = getattr(import_module(f"detect_secrets.plugins.{module}"), name)()
        found.append((kind, made.analyze_string))
    return tuple(found)


def by_own_patterns(text: str) -> Iterator[tuple[str, str]]:
    """Each kind and value that our own patterns find."""
    for kind, pattern in OWN:
        for match in pattern.finditer(text):
            value = match["s"] if "s" in pattern.groupindex else match[0]
            if value:
                yield kind, value


def candidates(text: str) -> Iterator[tuple[str, str]]:
    """Each kind and value that looks like a secret."""
    yield from by_own_patterns(text)
    for line in text.splitlines():
        for start in range(0, len(line), _LONGEST_LINE):
            # Pieces overlap by what a token can be long, so that none falls between two.
            piece = line[start : start + _LONGEST_LINE + 500]
            for kind, analyze in _detectors():
                for value in analyze(piece):
                    if isinstance(value, str) and len(value) >= _SHORTEST:
                        # Some detectors stop within a token: its rest is as secret.
                        whole = re.search(re.escape(value) + r"[A-Za-z0-9_/+=-]*", piece)
                        yield kind, value if whole is None else whole[0]


def texts(value: object) -> Iterator[str]:
    """Every text in a JSON value, names of members too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield str(name)
            yield from texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from texts(inner)


def find(*values: object) -> tuple[FoundSecret, ...]:
    """The secrets in JSON values, in the order in which they are found."""
    held = [text for value in values for text in texts(value)]
    kinds: dict[str, str] = {}
    for text in held:
        for kind, value in candidates(text):
            if len(value) >= _SHORTEST and not value.startswith("["):
                kinds.setdefault(value, kind)
    return tuple(
        FoundSecret(number, kind, value, sum(text.count(value) for text in held))
        for number, (value, kind) in enumerate(kinds.items(), 1)
    )


def masked(
    value: object, secrets: Iterable[FoundSecret], keep: frozenset[int] = frozenset()
) -> object:
    """A JSON value without the secrets, but for those kept on purpose."""
    mask = _masking(secrets, keep)

    def within(inner: object) -> object:
        if isinstance(inner, str):
            return mask(inner)
        if isinstance(inner, dict):
            return {mask(str(name)): within(one) for name, one in inner.items()}
        if isinstance(inner, list | tuple):
            return [within(one) for one in inner]
        return inner

    return within(value)


def masked_text(text: str, secrets: Iterable[FoundSecret]) -> str:
    """A text without the secrets."""
    return _masking(secrets, frozenset())(text)


def _masking(secrets: Iterable[FoundSecret], keep: frozenset[int]) -> Callable[[str], str]:
    going = sorted(
        (one for one in secrets if one.number not in keep),
        key=lambda one: len(one.value),
        reverse=True,
    )
    if not going:
        return str
    pattern = re.compile("|".join(re.escape(one.value) for one in going))
    masks = {one.value: one.mask for one in going}
    return lambda text: pattern.sub(lambda match: masks[match[0]], text)
