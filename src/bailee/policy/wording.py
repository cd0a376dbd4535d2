"""Decisions in words that people say, in the document's two languages.

Labels and clause texts come from the document; what is here are the few words between them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bailee.policy import period as periods
from bailee.policy.amounts import most_in_words, period_in_words
from bailee.policy.bounds import AGENT_SETTING_OF, ANY, MODELS, PROGRAMS
from bailee.policy.document import Document, Language, SettingBound
from bailee.policy.policy import Explanation, PassedOver
from bailee.policy.reaching import DeclaredTerms, UpstreamTerms
from bailee.policy.space import Value

_OUTCOMES: dict[Language, dict[str, str]] = {
    "en": {
        "allow": "allowed",
        "deny": "not allowed",
        "require": "asked, and nothing is sent before",
        "ask": "asked",
        "skip": "not asked",
        "keep": "kept",
        "drop": "not kept",
    },
    "zh": {
        "allow": "允许",
        "deny": "不允许",
        "require": "询问，在此之前不发送任何请求",
        "ask": "询问",
        "skip": "不询问",
        "keep": "保留",
        "drop": "不保留",
    },
}
_STATES: dict[Language, dict[str, str]] = {
    "en": {"absent": "not set", "empty": "empty", "set": "set"},
    "zh": {"absent": "未设置", "empty": "为空", "set": "已设置"},
}
_PLACES: dict[Language, dict[str, str]] = {
    "en": {"store": "kept here", "onward": "passed on", "": "nowhere"},
    "zh": {"store": "保存于此", "onward": "转发", "": "不保存，也不转发"},
}
_REACHED: dict[Language, dict[str, str]] = {
    "en": {ANY: "any host", PROGRAMS: "programs", "": "none"},
    "zh": {ANY: "任何主机", PROGRAMS: "程序", "": "无"},
}
QUESTIONS: dict[Language, dict[str, str]] = {
    "en": {
        "choose": "Is a person asked about training?",
        "train": "May it improve models?",
        "retain": "How long is it kept?",
        "send": "May it leave the machine?",
        "pass": "May a request go to the model's provider?",
        "reach": "May a request use this at its upstream?",
        "resume": "Is what goes on with a session kept?",
    },
    "zh": {
        "choose": "是否询问训练选择？",
        "train": "是否可用于改进模型？",
        "retain": "保留多久？",
        "send": "是否可以离开设备？",
        "pass": "请求是否可以发往模型提供商？",
        "reach": "请求是否可以在上游使用此功能？",
        "resume": "会话继续的内容是否保留？",
    },
}


def outcome_in_words(effect: str, retention: str | None, language: Language) -> str:
    """A decision's result in a word or two: "30 days", "not allowed"."""
    if retention is not None:
        return period_in_words(retention, language)
    return _OUTCOMES[language][effect]


def bound_in_words(bound: SettingBound, language: Language) -> str:
    """How far settings may go, in a word or two: "24 hours at most", "kept here or passed on"."""
    if bound.at_most is None:
        if bound.of == MODELS:
            return _models_in_words(bound, language)
        if bound.of in AGENT_SETTING_OF:
            said = _REACHED[language]
            return joined([said.get(one, one) for one in bound.only or ("",)], language)
        return joined([_PLACES[language][one] for one in bound.only or ("",)], language)
    most = most_in_words(bound.of, bound.at_most, language)
    return f"最多 {most}" if language == "zh" else f"{most} at most"


def _models_in_words(bound: SettingBound, language: Language) -> str:
    """Which models: "claude-* only, and not claude-opus-*"."""
    english = language == "en"
    said = []
    if bound.only is not None:
        names = joined(bound.only, language) or ("none" if english else "无")
        said.append(f"{names} only" if english else f"仅限 {names}")
    if bound.deny:
        names = joined(bound.deny, language)
        said.append(f"not {names}" if english else f"不含 {names}")
    return (", and " if english else "，").join(said)


def joined(words: Sequence[str], language: Language) -> str:
    """A list with "or" before its last."""
    if len(words) < 2:
        return "".join(words)
    start, last = words[:-1], words[-1]
    if language == "en":
        return f"{', '.join(start)} or {last}"
    # A blank stands between Chinese and what is not, and nowhere else.
    before, after = (" " if one.isascii() else "" for one in (start[-1][-1:], last[:1]))
    return f"{'、'.join(start)}{before}或{after}{last}"


def sentence(document: Document, found: Explanation, language: Language) -> str:
    """What was decided, as one sentence, such as: This survey rating is kept for 5 years."""
    facts, decision = found.facts, found.decision

    def label(fact: str) -> str:
        return document.labels[fact][facts[fact]].of(language)

    english = language == "en"
    if found.action == "choose":
        asked, waits = decision.asks, decision.effect == "require"
        if english:
            more = ", and nothing of theirs is sent until they have chosen" if waits else ""
            return f"This person is {'' if asked else 'not '}asked about training now{more}."
        more = "，作出选择之前不发送其任何请求" if waits else ""
        return f"现在{'会' if asked else '不会'}询问此人是否允许训练{more}。"
    if found.action == "send":
        allowed = decision.effect == "allow"
        if english:
            return f"{label('flow')}: {'may be sent' if allowed else 'not sent'} from this machine."
        return f"{label('flow')}：{'可以' if allowed else '不会'}从此设备发送。"
    if found.action == "pass":
        allowed = decision.effect == "allow"
        route, credential = label("route"), label("credential")
        if english:
            goes = "goes to" if allowed else "does not go to"
            return f"This request ({route}, {credential}) {goes} the model's provider."
        return f"这个请求（{route}，{credential}）{'会' if allowed else '不会'}发往模型提供商。"
    if found.action == "reach":
        allowed = decision.effect == "allow"
        uses, upstream, key = label("uses"), label("upstream"), label("zero_retention")
        if english:
            goes = "may go" if allowed else "does not go"
            return f"This request ({uses}; {key}) {goes} to {upstream}."
        return f"这个请求（{uses}；{key}）{'可以' if allowed else '不会'}发往{upstream}。"
    if found.action == "resume":
        kept = decision.effect == "keep"
        if english:
            return f"What goes on with this session is {'kept with it' if kept else 'not kept'}."
        return f"这个会话继续的内容{'随会话保留' if kept else '不保留'}。"
    thing, plan = label("data_class"), label("plan")
    if found.action == "train":
        allowed = decision.effect == "allow"
        if english:
            return f"This {thing} ({plan} plan) may {'' if allowed else 'not '}improve models."
        return f"这份{thing}（{plan} 计划）{'可以' if allowed else '不得'}用于改进模型。"
    assert decision.retention is not None
    kept = periods.parse(decision.retention).count > 0
    words = period_in_words(decision.retention, language)
    if english:
        return f"This {thing} ({plan} plan) is {f'kept for {words}' if kept else 'not kept'}."
    return f"这份{thing}（{plan} 计划）{f'保留 {words}' if kept else '不保留'}。"


def why_not(document: Document, passed: PassedOver, language: Language) -> str:
    """Why a clause did not apply: "training_choice is allowed, not refused"."""
    english = language == "en"
    if passed.fact in document.switches:
        state = _STATES[language][str(passed.actual)]
        return f"{passed.fact} is {state}" if english else f"{passed.fact} {state}"
    wanted = joined([_written(value) for value in passed.wanted], language)
    if english:
        return f"{passed.fact} is {_written(passed.actual)}, not {wanted}"
    return f"{passed.fact} 是 {_written(passed.actual)}，而非 {wanted}"


def _written(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def facts_in_words(
    who: Mapping[str, Sequence[Value]], document: Document, language: Language
) -> str:
    """For whom something holds whose facts have these values: "consumer plans, training refused".
    A fact that is not named can be anything.
    """
    parts = []
    for fact, values in who.items():
        if fact in document.switches or fact not in document.labels:
            parts.append(f"{fact} {'/'.join(map(str, values))}")
            continue
        segments = {document.plans[str(one)].segment for one in values} if fact == "plan" else ()
        members = {one.name for one in document.plans.values() if one.segment in segments}
        if len(segments) == 1 and members == set(values):
            label = document.labels["segment"][next(iter(segments))].of(language)
            parts.append(f"{label} plans" if language == "en" else f"{label}计划")
            continue
        labels = document.labels[fact]
        parts.append(" / ".join(labels[one].of(language) for one in values))
    everyone = "everyone and everything" if language == "en" else "所有情形"
    return ("; " if language == "en" else "；").join(parts) or everyone


def upstream_in_words(upstream: UpstreamTerms, language: Language) -> str:
    """What an upstream keeps, as it declares it: of most models, and of those where it differs."""
    mark, stop = (": ", "; ") if language == "en" else ("：", "；")
    parts = [] if upstream.usual is None and upstream.models else [_terms(upstream.usual, language)]
    parts += [f"{name}{mark}{_terms(terms, language)}" for name, terms in upstream.models]
    return stop.join(parts)


def _terms(terms: DeclaredTerms | None, language: Language) -> str:
    if terms is None:
        if language == "en":
            return "declares no terms: taken to keep everything and to train on it"
        return "未声明条款：视为保留一切内容并用于训练"
    kept = _kept(terms, language)
    if language == "en":
        trains = "trains on it" if terms.trains else "does not train on it"
        return f"{kept}, {trains}{f', in {terms.region}' if terms.region else ''}"
    trains = "用于训练" if terms.trains else "不用于训练"
    return f"{kept}，{trains}{f'，位于 {terms.region}' if terms.region else ''}"


def _kept(terms: DeclaredTerms, language: Language) -> str:
    english = language == "en"
    if not terms.retains:
        return "keeps nothing of what is sent" if english else "不保留所发内容"
    if terms.days is None:
        span = "a time that it does not declare" if english else "未声明的时间"
    else:
        span = period_in_words(f"P{terms.days}D", language)
    if terms.zero_retention:
        if english:
            return f"keeps nothing of conversations, other things for {span}"
        return f"不保留对话，其他内容保留 {span}"
    return f"keeps what is sent for {span}" if english else f"保留所发内容 {span}"
