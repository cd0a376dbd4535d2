"""The public data-usage page, as a document of blocks that renderers turn into Markdown or HTML.

Rules kept here:

* Every statement on the page is a clause's text or is worked out by asking the policy: the tables
  are decisions, not a second list that could disagree.
* Every clause and every invariant of the document is on the page, with its id.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bailee.policy.actions import ACTIONS
from bailee.policy.document import Clause, Heading, Language
from bailee.policy.policy import Policy
from bailee.policy.proof import reaches
from bailee.policy.space import Region
from bailee.policy.wording import (
    QUESTIONS,
    bound_in_words,
    facts_in_words,
    joined,
    outcome_in_words,
)


@dataclass(frozen=True, slots=True)
class ListItem:
    """A line of a list: the text, the id it is cited by, and its result in a word or two."""

    text: str
    id: str
    outcome: str | None = None


@dataclass(frozen=True, slots=True)
class Items:
    """A list of clauses under a short question, which may be empty."""

    title: str
    items: tuple[ListItem, ...]


@dataclass(frozen=True, slots=True)
class Grid:
    """A table: caption, column headings (the first is that of the row headings), rows."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what is under it."""

    id: str
    title: str
    blocks: tuple[str | Items | Grid, ...]


@dataclass(frozen=True, slots=True)
class PolicyPage:
    """The whole page. `colophon`: which document it was made from."""

    language: Language
    title: str
    intro: str
    sections: tuple[Section, ...]
    colophon: tuple[str, ...]
    contents: str


_WORDS: Mapping[Language, Mapping[str, str]] = {
    "en": {
        "intro": "In force from {effective}. Each statement names its clause; the software decides "
        "by the same clauses.",
        "contents": "Contents",
        "plan": "Plan",
        "segment": "Terms",
        "plans": "Plans",
        "dates": "Consumers can choose from {choice_from}. Existing consumers have until "
        "{decide_by}.",
        "transcripts": "Session transcripts",
        "whose": "Whose",
        "other": "Everything else",
        "what": "What",
        "kept": "Kept",
        "local": "The setting {setting} takes 0 to {max_days} days; {default_days} unless set.",
        "flows": "What can leave a machine, and what turns it off",
        "flow": "Flow",
        "carries": "Carries",
        "off_by": "Turned off by",
        "switches": "Variables (any value that is not empty counts)",
        "switch": "Variable",
        "meaning": "Effect",
        "matrix": "Defaults by provider",
        "on": "On by default.",
        "on_off": "On by default. Off when {switches} is set.",
        "for": " Only for: {who}.",
        "off": "Off by default.",
        "off_by_use": "Off by default. The provider is selected by {switch}=1.",
        "survey": "Question: {question} Answers: {answers}.",
        "feedback": "Commands: {commands}.",
        "always": "What always holds",
        "always_intro": "Proved by trying all {count:,} combinations of facts.",
        "statements": "",
        "made_from": "Made from version {version} of the policy document.",
        "hash": "SHA-256 of the document: {sha256}",
    },
    "zh": {
        "intro": "自 {effective} 起生效。每项说明都注明其条款；软件依据同样的条款作出决定。",
        "contents": "目录",
        "plan": "计划",
        "segment": "条款类别",
        "plans": "计划",
        "dates": "消费者自 {choice_from} 起可以选择。"
        "已有账户的消费者可在 {decide_by} 之前（含当日）作出选择。",
        "transcripts": "会话记录",
        "whose": "谁的数据",
        "other": "其他数据",
        "what": "数据",
        "kept": "保留期",
        "local": "设置项 {setting} 可取 0 至 {max_days} 天；未设置时为 {default_days} 天。",
        "flows": "哪些数据可能离开设备，如何关闭",
        "flow": "数据流",
        "carries": "内容",
        "off_by": "关闭方式",
        "switches": "环境变量（任何非空的值均有效）",
        "switch": "变量",
        "meaning": "作用",
        "matrix": "各提供商的默认行为",
        "on": "默认开启。",
        "on_off": "默认开启。设置 {switches} 即关闭。",
        "for": "仅限：{who}。",
        "off": "默认关闭。",
        "off_by_use": "默认关闭。以 {switch}=1 选择此提供商。",
        "survey": "问题：{question}答案：{answers}。",
        "feedback": "命令：{commands}。",
        "always": "始终成立的规则",
        "always_intro": "已逐一检验全部 {count:,} 种情形，均成立。",
        "statements": "",
        "made_from": "由 {version} 版政策文件生成。",
        "hash": "政策文件的 SHA-256：{sha256}",
    },
}


def page(policy: Policy, language: Language) -> PolicyPage:
    """The page of a policy in one language."""
    return _Maker(policy, language).page()


class _Maker:
    """Makes the page, a block at a time, by asking the policy. Made for one page in one
    language.
    """

    def __init__(self, policy: Policy, language: Language) -> None:
        self.policy = policy
        self.document = policy.document
        self.language = language
        self.words = _WORDS[language]
        self.sent = Region(())
        for reach in reaches(policy.document, "send"):
            if reach.clause.effect == "allow":
                self.sent = self.sent | reach.decides

    def page(self) -> PolicyPage:
        document, words = self.document, self.words
        count = sum(space.size for space in document.spaces.values())
        sections = [self.section(heading) for heading in document.headings]
        always = Items(
            "", tuple(ListItem(one.text.of(self.language), one.id) for one in document.invariants)
        )
        intro = words["always_intro"].format(count=count)
        sections.append(Section("invariants", words["always"], (intro, always)))
        return PolicyPage(
            self.language,
            document.title.of(self.language),
            words["intro"].format(effective=document.effective.isoformat()),
            tuple(sections),
            (
                words["made_from"].format(version=document.version),
                words["hash"].format(sha256=document.sha256),
            ),
            words["contents"],
        )

    def section(self, heading: Heading) -> Section:
        blocks: list[str | Items | Grid] = []
        stated = [one for one in self.document.statements if one.heading == heading.id]
        if stated:
            blocks.append(Items("", tuple(self.item(one) for one in stated)))
        for action in ACTIONS:
            clauses = [one for one in self.document.clauses[action] if one.heading == heading.id]
            if clauses:
                title = QUESTIONS[self.language][action]
                blocks.append(Items(title, tuple(self.item(one) for one in clauses)))
        blocks.extend(self.extras(heading.id))
        return Section(heading.id, heading.label.of(self.language), tuple(blocks))

    def item(self, clause: Clause) -> ListItem:
        outcome = None
        if clause.effect is not None:
            outcome = outcome_in_words(clause.effect, clause.retention, self.language)
        for bound in self.document.bounds:
            if bound.clause is clause:
                outcome = bound_in_words(bound, self.language)
        return ListItem(clause.text.of(self.language), clause.id, outcome)

    def extras(self, heading: str) -> Iterator[str | Grid]:
        document, words, language = self.document, self.words, self.language
        if heading == "training":
            yield words["dates"].format(
                choice_from=document.choice_from, decide_by=document.decide_by
            )
            labels = document.labels["segment"]
            yield Grid(
                words["plans"],
                (words["plan"], words["segment"]),
                tuple(
                    (one.label.of(language), labels[one.segment].of(language))
                    for one in document.plans.values()
                ),
            )
        elif heading == "feedback":
            comma = " " if language == "en" else "、"
            yield words["feedback"].format(commands=comma.join(document.feedback.commands))
        elif heading == "survey":
            survey = document.survey
            yield words["survey"].format(
                question=survey.question.of(language), answers=" · ".join(survey.answers)
            )
        elif heading == "retention":
            local = document.local_transcripts
            yield words["local"].format(
                setting=local.setting, max_days=local.max_days, default_days=local.default_days
            )
            yield self.transcripts()
            yield self.other_classes()
        elif heading == "telemetry":
            yield self.flows()
            yield Grid(
                words["switches"],
                (words["switch"], words["meaning"]),
                tuple((name, text.of(language)) for name, text in document.switches.items()),
            )
        elif heading == "providers":
            yield self.matrix()

    def kept(self, **facts: str | bool) -> str:
        """For how long, for all combinations with these facts; several periods are all named."""
        space = self.document.spaces["retain"]
        scope = space.matching([(fact, (value,)) for fact, value in facts.items()])
        found = [
            outcome_in_words("keep", reach.clause.retention, self.language)
            for reach in reaches(self.document, "retain")
            if reach.decides & scope
        ]
        return " / ".join(dict.fromkeys(found))

    def transcripts(self) -> Grid:
        labels, words = self.document.labels, self.words
        flags = labels["zero_retention"]
        rows = []
        for segment, name in labels["segment"].items():
            choices = labels["training_choice"]
            cells = {
                choice: tuple(
                    self.kept(
                        data_class="transcript",
                        segment=segment,
                        training_choice=choice,
                        zero_retention=zero,
                    )
                    for zero in (False, True)
                )
                for choice in choices
            }
            who = name.of(self.language)
            if len(set(cells.values())) == 1:  # the choice makes no difference here
                rows.append((who, *next(iter(cells.values()))))
            else:
                rows.extend(
                    (f"{who} · {choices[choice].of(self.language)}", *cell)
                    for choice, cell in cells.items()
                )
        columns = tuple(flags[zero].of(self.language) for zero in (False, True))
        return Grid(words["transcripts"], (words["whose"], *columns), tuple(rows))

    def other_classes(self) -> Grid:
        labels, words = self.document.labels["data_class"], self.words
        rows = tuple(
            (label.of(self.language), self.kept(data_class=name))
            for name, label in labels.items()
            if name != "transcript"
        )
        return Grid(words["other"], (words["what"], words["kept"]), rows)

    def flows(self) -> Grid:
        words, language = self.words, self.language
        rows = tuple(
            (
                flow.label.of(language),
                flow.carries.of(language),
                joined(self.silencing(flow.name, self.providers_on(flow.name)), language),
            )
            for flow in self.document.flows.values()
        )
        return Grid(words["flows"], (words["flow"], words["carries"], words["off_by"]), rows)

    def matrix(self) -> Grid:
        words, language = self.words, self.language
        providers = self.document.providers.values()
        rows = tuple(
            (flow.label.of(language), *(self.cell(flow.name, one.name) for one in providers))
            for flow in self.document.flows.values()
        )
        columns = (words["flow"], *(one.label.of(language) for one in providers))
        return Grid(words["matrix"], columns, rows)

    def cell(self, flow: str, provider: str) -> str:
        words, document = self.words, self.document
        space = document.spaces["send"]
        asked = self.scope(flow, [provider])
        usual = asked
        for switch in document.switches:
            usual = usual & space.where(switch, ("absent",))
        on = usual & self.sent
        if not on:
            by = document.providers[provider].selected_by
            return words["off"] if by is None else words["off_by_use"].format(switch=by)
        selecting = {one.selected_by for one in document.providers.values()}
        switches = [one for one in self.silencing(flow, [provider]) if one not in selecting]
        for_whom = ""
        if usual - on:  # only for some of those who could send it
            optional = [one for one in ACTIONS["send"].optional if one in space.domains]
            boxes = [box for _, box in space.boxes(on)]
            who = [
                {fact: box[fact] for fact in optional if box[fact] != space.domains[fact]}
                for box in boxes
            ]
            for_whom = words["for"].format(
                who=joined(
                    [facts_in_words(one, document, self.language) for one in who], self.language
                )
            )
        if not switches:
            return words["on"] + for_whom
        listed = joined(switches, self.language)
        return words["on_off"].format(switches=listed) + for_whom

    def providers_on(self, flow: str) -> list[str]:
        return [name for name in self.document.providers if self.scope(flow, [name]) & self.sent]

    def silencing(self, flow: str, providers: Sequence[str]) -> list[str]:
        """The switches that turn the flow off on one of these providers, whatever else holds."""
        space = self.document.spaces["send"]
        return [
            switch
            for switch in self.document.switches
            if any(
                not self.scope(flow, [one]) & space.where(switch, ("set",)) & self.sent
                for one in providers
                if self.scope(flow, [one]) & self.sent
            )
        ]

    def scope(self, flow: str, providers: Sequence[str]) -> Region:
        """All combinations of a flow and some providers."""
        return self.document.spaces["send"].matching(
            [("flow", (flow,)), ("provider", tuple(providers))]
        )
