"""The page of a server's own figures, and of what each kind of entry is in OCSF."""

from __future__ import annotations

from bailee.auditing.ocsf import MAPPED, VERSION, EventClass
from bailee.monitoring.catalogue import FAMILIES, MOST, PROCESS, Family

_MANY = 12


def _labels(family: Family) -> str:
    said = []
    for name, values in family.labels.items():
        shown = ", ".join(values[:_MANY]) or "the version"
        said.append(f"`{name}`: {shown}{', …' if len(values) > _MANY else ''}")
    return "; ".join(said)


def _named(of: EventClass) -> str:
    return of.name.replace("_", " ").title()


def render() -> str:
    """The page, as Markdown."""
    rows = "\n".join(
        f"| `{one.name}` | {one.kind} | {one.help} | {_labels(one)} |" for one in FAMILIES.values()
    )
    kinds: dict[tuple[EventClass, int, str], list[str]] = {}
    for kind, mapped in MAPPED.items():
        severity = mapped.severity.name.capitalize()
        kinds.setdefault((mapped.event_class, mapped.activity, severity), []).append(f"`{kind}`")
    events = "\n".join(
        f"| {of} {_named(of)} | {activity} | {severity} | {', '.join(of_it)} |"
        for (of, activity, severity), of_it in sorted(kinds.items())
    )
    process = ", ".join(f"`{name}`" for name in PROCESS)
    return f"""\
# Figures and events

This page is generated from the code. What to do with them: [Watching it](../guides/monitoring.md).

## Figures

`/metrics` of the listener `health.listen` says these, in Prometheus' text format. Each value that
a label may have is written down in the code before a server runs; anything else is said as `other`.
At most {MOST:,} series.

| name | kind | what it is | labels |
|---|---|---|---|
{rows}

Of the process, in the usual names: {process}.

## Events

Each kind of entry of the audit record is one class of OCSF {VERSION} where the record is streamed.
`metadata.event_code` is the kind, `metadata.sequence` the leaf, `metadata.uid` the same however
often it arrives; particulars without an attribute of OCSF's stand in `unmapped`.

| class | activity | severity | kinds |
|---|---|---|---|
{events}
"""
