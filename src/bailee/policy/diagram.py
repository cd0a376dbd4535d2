"""The data-flow diagram, drawn from the policy and the running configuration, as SVG. Pure.

Rows: D5.

Rules kept here:

* Every period and every on or off in the picture is a decision that was asked of the policy.
* Where things run (addresses, models, stores) is what the configuration says, and a flow that the
  running software does not take in is drawn as such.
* Text is SVG text, so that it can be read aloud, found and copied; a title and a description say
  the whole of it in sentences. Colours come from classes, so light and dark need no second picture.

What the picture says is found here; `drawing` gives it places.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from bailee.policy.bounds import ONWARD, places
from bailee.policy.document import Language
from bailee.policy.drawing import Box, Layout, Story, drawn
from bailee.policy.facts import Facts
from bailee.policy.network import at_most
from bailee.policy.policy import Policy
from bailee.policy.reaching import UpstreamTerms
from bailee.policy.wording import outcome_in_words, upstream_in_words


@dataclass(frozen=True, slots=True)
class ModelService:
    """A model's service: the channel of the policy that leads there, its name or host, the terms
    that it declares, and how the operator calls it.
    """

    channel: str
    name: str
    local: bool = False
    terms: UpstreamTerms = field(default_factory=UpstreamTerms)
    upstream: str = ""


@dataclass(frozen=True, slots=True)
class Configuration:
    """What runs: the gateway's address and whether TLS protects it; the models behind it; where
    ciphertext lies (`folder`, `s3`) and the root key (`file`, `env`, or a service); after how many
    hours older copies of the keys open nothing that was destroyed; which flows beside the work
    it takes in, and to whose address it passes some of them on; what cloud sessions reach if
    nothing else is said (None: there are none).
    """

    gateway: str
    tls: bool
    upstreams: tuple[ModelService, ...]
    store: str
    root: str
    takes_in: frozenset[str] = field(default_factory=frozenset)
    goes_on: Mapping[str, str] = field(default_factory=dict)
    cloud_network: str | None = None
    lag_hours: int = 24


STYLE: Final = """
.flow-diagram { display: block; width: 100%; height: auto; font: 13px/1.4 system-ui, "Noto Sans",
  "Noto Sans CJK SC", "PingFang SC", sans-serif; }
.flow-diagram .lane { fill: var(--tint, #f3f2ec); }
.flow-diagram .box { fill: var(--paper, #fdfdfb); stroke: var(--line-strong, #a9aca4); }
.flow-diagram .box.policy { stroke: var(--accent, #0b6156); stroke-width: 2; }
.flow-diagram .box.absent { fill: none; stroke-dasharray: 4 4; }
.flow-diagram text { fill: var(--ink, #1c1e21); }
.flow-diagram .lane-name { font-weight: 650; fill: var(--soft, #565b61); }
.flow-diagram .name { font-weight: 650; font-size: 14px; }
.flow-diagram .line, .flow-diagram .said { fill: var(--soft, #565b61); }
.flow-diagram .said { font-size: 12px; }
.flow-diagram .edge { fill: none; stroke: var(--accent, #0b6156); stroke-width: 1.75; }
.flow-diagram .edge.quiet { stroke: var(--line-strong, #a9aca4); stroke-dasharray: 4 4; }
.flow-diagram .head { fill: var(--accent, #0b6156); }
.flow-diagram .head.quiet { fill: var(--line-strong, #a9aca4); }
"""

_WORDS: Final[Mapping[Language, Mapping[str, str]]] = {
    "en": {
        "title": "Where data goes",
        "machine": "A person's machine",
        "service": "This service",
        "models": "Models",
        "agent": "Coding agent",
        "agent_line": "Runs here. Code stays here but for what a prompt quotes.",
        "local": "Transcripts on the machine",
        "beside": "Beside the work",
        "on": "{flow}: on unless turned off",
        "off": "{flow}: off by default",
        "gateway": "Gateway",
        "policy": "Policy {version}",
        "policy_line": "Each exchange is decided on before it is kept:",
        "case": "{who}: {kept}",
        "zero": "zero-retention key",
        "vault": "Vault",
        "vault_line": "Ciphertext only. {store}",
        "keyring": "Keyring",
        "keyring_line": "The keys, apart from the data. Forgetting destroys one. Root: {root}",
        "keyring_lag": "Older copies open nothing that was destroyed {hours} hours ago.",
        "ledger": "Audit record",
        "ledger_line": "What was decided, read and destroyed. No content.",
        "taken": "Taken in here",
        "goes_on": "{flow}: passed on to {place}, without what may not be kept",
        "not_taken": "Not taken in here",
        "not_taken_line": "This service has no receiver for: {flows}",
        "cloud": "Cloud sessions",
        "cloud_line": "Virtual machines without a network card, gone when they end. "
        "Out through proxies; network: {network}.",
        "cloud_kept": "Connections: {kept}. The rest is kept like transcripts.",
        "s_cloud": "Cloud sessions run in virtual machines without a network card.",
        "work": "prompts, code, answers",
        "tls": "under TLS",
        "loopback": "on this machine only",
        "same": "the same bytes",
        "asks": "asks",
        "kept": "what is kept",
        "key": "under its key",
        "noted": "each step is noted",
        "embedded": "runs in the same process",
        "folder": "In a folder of this machine.",
        "s3": "In an object store.",
        "file": "a file of this machine",
        "env": "an environment variable",
        "transit": "a transit engine",
        "pkcs11": "a hardware token",
        "aws-kms": "AWS KMS",
        "google-kms": "Google Cloud KMS",
        "describe": "Drawn from policy {version} and the running configuration. {sentences}",
        "s_work": "Prompts, code and answers go between the coding agent and the gateway at "
        "{gateway}, {how}, and on to: {models}.",
        "s_upstream": "{name}: {terms}.",
        "s_kept": "Transcripts are kept: {cases}.",
        "s_flows": "{flows}.",
    },
    "zh": {
        "title": "数据流向",
        "machine": "个人设备",
        "service": "本服务",
        "models": "模型",
        "agent": "编程智能体",
        "agent_line": "在此运行。除提示中引用的部分外，代码不离开设备。",
        "local": "设备上的会话记录",
        "beside": "工作之外的数据",
        "on": "{flow}：默认开启，可关闭",
        "off": "{flow}：默认关闭",
        "gateway": "网关",
        "policy": "政策 {version}",
        "policy_line": "每个请求在保留之前都要先作出决定：",
        "case": "{who}：{kept}",
        "zero": "零保留密钥",
        "vault": "保管库",
        "vault_line": "只有密文。{store}",
        "keyring": "密钥环",
        "keyring_line": "密钥与数据分开存放；删除即销毁密钥。根密钥：{root}",
        "keyring_lag": "较早的副本打不开 {hours} 小时之前被销毁的内容。",
        "ledger": "审计记录",
        "ledger_line": "记录作出的决定、读取和销毁，不含内容。",
        "taken": "由本服务接收",
        "goes_on": "{flow}：去除不允许保留的部分后转送至 {place}",
        "not_taken": "本服务不接收",
        "not_taken_line": "本服务没有接收以下数据的部分：{flows}",
        "cloud": "云会话",
        "cloud_line": "没有网卡的虚拟机，结束即消失。出站经过代理；网络：{network}。",
        "cloud_kept": "连接记录：{kept}。其余与会话记录相同。",
        "s_cloud": "云会话在没有网卡的虚拟机中运行。",
        "work": "提示、代码、回答",
        "tls": "经 TLS",
        "loopback": "仅限本机",
        "same": "原样字节",
        "asks": "询问",
        "kept": "需保留的内容",
        "key": "其密钥",
        "noted": "每一步都有记录",
        "embedded": "在同一进程中运行",
        "folder": "位于本机的文件夹。",
        "s3": "位于对象存储。",
        "file": "本机的文件",
        "env": "环境变量",
        "transit": "transit 引擎",
        "pkcs11": "硬件令牌",
        "aws-kms": "AWS KMS",
        "google-kms": "Google Cloud KMS",
        "describe": "依据政策 {version} 和运行中的配置绘制。{sentences}",
        "s_work": "提示、代码和回答在编程智能体与网关（{gateway}）之间传输，{how}，"
        "再到：{models}。",
        "s_upstream": "{name}：{terms}。",
        "s_kept": "会话记录的保留：{cases}。",
        "s_flows": "{flows}。",
    },
}


def draw(policy: Policy, running: Configuration, language: Language, layout: Layout) -> str:
    """The diagram as one `<svg>` element, without a style of its own: the page has `STYLE`."""
    content = _Content(policy, running, language)
    words = content.words
    story = Story(
        title=words["title"],
        description=content.description(),
        lanes=(words["machine"], words["service"], words["models"]),
        machine=content.machine(),
        service=content.service(),
        models=content.models(),
        work=(words["work"], content.how()),
        same=words["same"],
        steps=(words["asks"], words["kept"], words["key"], words["noted"]),
    )
    return drawn(story, layout)


class _Content:
    """What the diagram says: asked of the policy, read from the configuration. Made for one
    picture.
    """

    def __init__(self, policy: Policy, running: Configuration, language: Language) -> None:
        self.policy = policy
        self.running = running
        self.language = language
        self.words = _WORDS[language]

    def periods(self) -> list[tuple[str, str]]:
        """Whose transcripts are kept for how long, each case asked of the policy."""
        document = self.policy.document
        labels = document.labels
        first: dict[str, str] = {}
        for plan in document.plans.values():
            first.setdefault(plan.segment, plan.name)
        cases: list[tuple[str, str]] = []
        for segment, plan_name in first.items():
            found = {
                choice: self._kept(plan_name, str(choice), zero=False)
                for choice in labels["training_choice"]
            }
            who = labels["segment"][segment].of(self.language)
            if len(set(found.values())) == 1:
                cases.append((who, next(iter(found.values()))))
                continue
            for choice, kept in found.items():
                name = labels["training_choice"][choice].of(self.language)
                cases.append((f"{who} · {name}", kept))
        zero = {self._kept(name, "none", zero=True) for name in first.values()}
        cases.append((self.words["zero"], " / ".join(sorted(zero))))
        return cases

    def flows(self) -> list[tuple[str, str]]:
        """Each flow beside the work, and whether it is on by default with the models that run."""
        said = []
        for flow in self.policy.document.flows.values():
            on = any(
                self.policy.send(flow=flow.name, provider=provider, env={}).effect == "allow"
                for provider in self._providers()
            )
            name = flow.label.of(self.language)
            said.append((flow.name, self.words["on" if on else "off"].format(flow=name)))
        return said

    def _providers(self) -> list[str]:
        known = self.policy.document.providers
        used = dict.fromkeys(one.channel for one in self.running.upstreams)
        return [channel for channel in used if channel in known] or list(known)

    def _kept(self, plan: str, choice: str, *, zero: bool, of: str = "transcript") -> str:
        facts = Facts(plan, self._channel(), choice, zero, partner_programme=False)
        decision = self.policy.retain(of, facts)
        return outcome_in_words(decision.effect, decision.retention, self.language)

    def _channel(self) -> str:
        return str(next(iter(self.policy.document.labels["channel"])))

    def machine(self) -> list[Box]:
        """The boxes of a person's machine."""
        words, local = self.words, self.policy.document.local_transcripts
        plan = next(iter(self.policy.plans))
        period = self._kept(plan, "none", zero=False, of="local_transcript")
        setting = f"{local.setting} = 0 … {local.max_days}"
        return [
            Box("agent", words["agent"], (words["agent_line"],)),
            Box("local", words["local"], (period, setting)),
            Box("beside", words["beside"], tuple(text for _, text in self.flows())),
        ]

    def service(self) -> list[Box]:
        """The boxes of the service."""
        words, running = self.words, self.running
        version = words["policy"].format(version=self.policy.version)
        cases = tuple(words["case"].format(who=who, kept=kept) for who, kept in self.periods())
        flows = self.policy.document.flows.values()
        taken = [one.label.of(self.language) for one in flows if one.name in running.takes_in]
        left = [one.label.of(self.language) for one in flows if one.name not in running.takes_in]
        comma = ", " if self.language == "en" else "、"
        boxes = [
            Box("gateway", words["gateway"], (running.gateway, self.how())),
            Box("policy", version, (words["policy_line"], *cases), "policy"),
            Box("vault", words["vault"], (words["vault_line"].format(store=words[running.store]),)),
            Box(
                "keyring",
                words["keyring"],
                (
                    words["keyring_line"].format(root=words[running.root]),
                    words["keyring_lag"].format(hours=running.lag_hours),
                ),
            ),
            Box("ledger", words["ledger"], (words["ledger_line"],)),
        ]
        if running.cloud_network is not None:
            network = at_most(self.policy.most_network, running.cloud_network)
            kept = self._kept(next(iter(self.policy.plans)), "none", zero=False, of="egress_record")
            boxes.append(
                Box(
                    "cloud",
                    words["cloud"],
                    (
                        words["cloud_line"].format(network=network),
                        words["cloud_kept"].format(kept=kept),
                    ),
                )
            )
        if taken:
            boxes.append(Box("taken", words["taken"], (comma.join(taken), *self.goes_on())))
        if left:
            text = words["not_taken_line"].format(flows=comma.join(left))
            boxes.append(Box("not_taken", words["not_taken"], (text,), "absent"))
        return boxes

    def goes_on(self) -> list[str]:
        """Each flow that is passed on, as far as the document lets it be, and to whom."""
        flows = self.policy.document.flows
        return [
            self.words["goes_on"].format(flow=flows[flow].label.of(self.language), place=place)
            for flow, place in self.running.goes_on.items()
            if ONWARD in places(self.policy.document, flow)
        ]

    def models(self) -> list[Box]:
        """A box for each model's service."""
        channels = self.policy.document.labels["channel"]
        return [
            Box(
                f"model{number}",
                channels[one.channel].of(self.language),
                (one.name, *([self.words["embedded"]] if one.local else [])),
            )
            for number, one in enumerate(self.running.upstreams)
        ]

    def how(self) -> str:
        """How the agent's traffic is protected."""
        return self.words["tls" if self.running.tls else "loopback"]

    def description(self) -> str:
        """All of it in sentences."""
        words = self.words
        comma = "; " if self.language == "en" else "；"
        sentences = (
            words["s_work"].format(
                gateway=self.running.gateway,
                how=self.how(),
                models=comma.join(one.name for one in self.running.upstreams),
            ),
            *(
                words["s_upstream"].format(
                    name=one.name, terms=upstream_in_words(one.terms, self.language)
                )
                for one in self.running.upstreams
            ),
            words["s_kept"].format(
                cases=comma.join(f"{who}, {kept}" for who, kept in self.periods())
            ),
            words["s_flows"].format(
                flows=comma.join([*(text for _, text in self.flows()), *self.goes_on()])
            ),
            *([words["s_cloud"]] if self.running.cloud_network is not None else []),
        )
        gap = " " if self.language == "en" else ""
        return words["describe"].format(version=self.policy.version, sentences=gap.join(sentences))
