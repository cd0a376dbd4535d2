"""Whose terms change between two documents, and how: what somebody is told of it. Pure.

Everything that is kept of an account, and whether it is trained on, is decided by both documents
for what the account is now: its plan and what was chosen. Where they give the same result, by
whichever clause, nothing changes for them. What may leave a machine is told by the machine.

Rows: P3, P5.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

from bailee.errors import InputError
from bailee.policy.document import Document, Language
from bailee.policy.facts import Facts
from bailee.policy.period import parse
from bailee.policy.policy import Decision, Policy
from bailee.policy.wording import outcome_in_words

UNDECIDED = "undecided"
"""In the place of a result, where a document does not know a plan, a channel or a class."""


@dataclass(frozen=True, slots=True)
class TermsChange:
    """One result that changes. `action`: `retain` or `train`; `data_class`: what of. `before`,
    `after`: a period ("P0D": nothing is kept), an effect, or `undecided`. `clause`: the one that
    decides after; "" where none does. `channels`: those for which it is so. `zero_retention`: for
    keys that keep nothing.
    """

    action: str
    data_class: str
    before: str
    after: str
    clause: str
    channels: tuple[str, ...]
    zero_retention: bool

    @property
    def shorter(self) -> bool:
        """Whether less long is kept than before, which reaches what is kept already."""
        if self.action != "retain" or UNDECIDED in (self.before, self.after):
            return False
        return parse(self.after).longest_days < parse(self.before).longest_days


def changes(before: Policy, after: Policy, facts: Facts) -> tuple[TermsChange, ...]:
    """What changes for somebody of whom these facts hold, on whichever channel; what is alike on
    several is one change. What a key with zero retention keeps is told where it differs.
    """
    found: dict[tuple[str, ...], TermsChange] = {}
    for zero in (False, True):
        for channel in _both(before, after, "channel"):
            asked = replace(facts, channel=channel, zero_retention=zero)
            for one in _of(before, after, asked):
                key = (one.action, one.data_class, one.before, one.after, one.clause, str(zero))
                alike = (*key[:-1], str(False))
                if zero and alike in found:
                    continue
                known = found.get(key)
                channels = (*(known.channels if known else ()), channel)
                found[key] = replace(one, channels=channels)
    return tuple(found.values())


def _of(before: Policy, after: Policy, facts: Facts) -> Iterator[TermsChange]:
    for data_class, action in product(_both(before, after, "data_class"), ("retain", "train")):
        was, now = (_decided(one, action, data_class, facts) for one in (before, after))
        if _result(was) != _result(now):
            clause = "" if now is None else now.clause
            yield TermsChange(
                *(action, data_class, _result(was), _result(now), clause, ()),
                facts.zero_retention,
            )


def _both(before: Policy, after: Policy, fact: str) -> tuple[str, ...]:
    """The values that a fact has in either document, those of the new one last."""
    values = (*before.document.labels[fact], *after.document.labels[fact])
    return tuple(dict.fromkeys(str(one) for one in values))


def _decided(policy: Policy, action: str, data_class: str, facts: Facts) -> Decision | None:
    """The decision about what comes in from now on; None: this document can't decide."""
    try:
        if action == "retain":
            return policy.retain(data_class, facts)
        return policy.train(
            data_class=data_class,
            plan=facts.plan,
            channel=facts.channel,
            training_choice=facts.training_choice,
            zero_retention=facts.zero_retention,
            partner_programme=facts.partner_programme,
            active_since_choice=True,
        )
    except InputError:
        return None


def _result(decision: Decision | None) -> str:
    return UNDECIDED if decision is None else decision.retention or decision.effect


def in_words(change: TermsChange, document: Document, language: Language) -> str:
    """A change as a sentence, by the labels of the document that holds after."""
    labels = document.labels["data_class"]
    named = labels.get(change.data_class)
    what = change.data_class if named is None else named.of(language)
    was, now = (_outcome(one, language) for one in (change.before, change.after))
    known = document.labels["channel"]
    only = "" if len(change.channels) == len(known) else f" ({', '.join(change.channels)})"
    english = language == "en"
    if change.zero_retention:
        only += " (keys with zero retention)" if english else "（零保留密钥）"
    if not english:
        only = only.replace(" (", "（").replace(")", "）")
    question = {
        "en": {"retain": "how long it is kept", "train": "whether it may improve models"},
        "zh": {"retain": "保留时间", "train": "是否可用于改进模型"},
    }[language][change.action]
    if english:
        return f"{what}{only}, {question}: {was} → {now}"
    return f"{what}{only}，{question}：{was} → {now}"


def _outcome(result: str, language: Language) -> str:
    if result == UNDECIDED:
        return "not known" if language == "en" else "未知"
    kept = result.startswith("P")
    return outcome_in_words("keep" if kept else result, result if kept else None, language)
