"""The vendor's admin API for what was used and what it cost, at the gateway's address, answered
from our own counts.

| request | answer |
|---|---|
| `GET /v1/organizations/usage_report/messages` | tokens, by the hour or day |
| `GET /v1/organizations/cost_report` | cents, by the day |
| `GET /v1/organizations/analytics/cost` | cents, as the vendor's own gateway tells them |

Rules kept here:

* Who asks, and how an error is told, is `spend_desk`'s.
* A parameter or value that is not known is refused: nobody takes a part for the whole.
* An answer is bounded by its buckets, and by the rows that counts give at once.

Rows: O2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Final

from starlette.applications import Starlette
from starlette.types import ASGIApp

from bailee.app.query_parameters import QueryParameters
from bailee.app.spend_desk import SpendAsked, SpendDesk
from bailee.db.pages import cut
from bailee.errors import BaileeError, InputError
from bailee.gateway.routes import COST_ANALYTICS, COST_REPORT, USAGE_REPORT
from bailee.json_values import JsonObject
from bailee.node import Node
from bailee.usage import analytics_shapes as analytics
from bailee.usage import report_shapes as shapes
from bailee.usage.counts import UsageOf, UsageRow

_SPAN: Final = ("starting_at", "ending_at", "bucket_width", "limit", "page", "group_by[]")
_ANALYTICS: Final = (
    "starting_at", "ending_at", "time_bucket_width", "group_by[]", "actor_ids[]", "limit", "page",
)  # fmt: skip
_FILTERS: Final = {
    "account_ids[]": "account_id", "api_key_ids[]": "api_key_id", "models[]": "model",
    "service_tiers[]": "service_tier",
}  # fmt: skip


class SpendReports:
    """The application over one home; `app` is the ASGI side. The server makes it; `app` is called
    on the gateway's event loop. It keeps nothing between requests.
    """

    def __init__(self, node: Node, desk: SpendDesk) -> None:
        self._node = node
        self.app: Final[ASGIApp] = Starlette(
            routes=[
                desk.route(USAGE_REPORT, "GET", self._usage),
                desk.route(COST_REPORT, "GET", self._cost),
                desk.route(COST_ANALYTICS, "GET", self._analytics),
            ]
        )

    def _usage(self, asked: SpendAsked) -> JsonObject:
        query = QueryParameters(asked.query, *_SPAN, *_FILTERS)
        by = query.several("group_by[]", (*shapes.DIMENSIONS, *shapes.UNKNOWN))
        by = list(dict.fromkeys(by))
        wanted: dict[str, list[str]] = {name: query.several(of) for of, name in _FILTERS.items()}
        query.several("service_tiers[]", shapes.TIERS)
        wanted["model"] = shapes.models_of(wanted["model"])
        span = self._span(asked, query)
        needed = {name for name in by if name in shapes.DIMENSIONS}
        needed |= {name for name, some in wanted.items() if some}
        found = self._rows(asked, span, sorted(needed))
        return shapes.report(
            span,
            {
                start: shapes.use_results(
                    [row for row in rows if shapes.is_wanted(row, wanted)], by
                )
                for start, rows in found.items()
            },
        )

    def _cost(self, asked: SpendAsked) -> JsonObject:
        query = QueryParameters(asked.query, *_SPAN)
        by = query.several("group_by[]", ("workspace_id", "description"))
        span = self._span(asked, query)
        if span.width != shapes.DAY:
            raise InputError("costs are told by the day.", hint="bucket_width=1d")
        described = "description" in by
        found = self._rows(asked, span, ["model", "service_tier"] if described else [])
        return shapes.report(
            span,
            {
                start: shapes.cost_results(rows, described=described)
                for start, rows in found.items()
            },
        )

    def _analytics(self, asked: SpendAsked) -> JsonObject:
        query = QueryParameters(asked.query, *_ANALYTICS)
        by = [*dict.fromkeys(query.several("group_by[]", tuple(analytics.GROUPS)))]
        limit, people = query.limit(), query.several("actor_ids[]")
        now = asked.asks.at
        span = analytics.cost_span(
            query.one("starting_at"), query.one("ending_at"), query.one("time_bucket_width"), now
        )
        if self._node.serving is not None:
            self._node.serving.measured()
        needed = {"day", *(analytics.GROUPS[one] for one in by), *(["person"] if people else [])}
        of = UsageOf(organisation=asked.organisation)
        counted = self._node.usage.of(of, span.start, span.end, sorted(needed), now)
        wanted = [one for one in counted if not people or one.group["person"] in people]
        rows = analytics.behind(analytics.cost_rows(wanted, by, span), query.one("page"))
        some, following = cut(rows, limit, analytics.place_of)
        emails = self._emails(asked.organisation) if "actor" in by else {}
        told = [analytics.cost_row(one, by, span, emails) for one in some]
        return analytics.cost_report(told, following, now)

    def _emails(self, organisation: str) -> Mapping[str, str]:
        """Of who is in it now, where it can be read: no other's is told there."""
        registry, found = self._node.registry, dict[str, str]()
        for one in registry.organisations.members(organisation):
            with suppress(BaileeError):
                found[one.person_id] = registry.people.get(one.person_id).email or ""
        return found

    def _span(self, asked: SpendAsked, query: QueryParameters) -> shapes.ReportSpan:
        said = query.one("bucket_width") or "1d"
        width = shapes.WIDTHS.get(said)
        if width is None:
            raise InputError("counts are kept by the hour.", hint="bucket_width: 1h or 1d")
        return shapes.span_of(
            width,
            asked.asks.at,
            starting=query.one("starting_at"),
            ending=query.one("ending_at"),
            page=query.one("page"),
            limit=query.one("limit"),
        )

    def _rows(
        self, asked: SpendAsked, span: shapes.ReportSpan, needed: Sequence[str]
    ) -> Mapping[datetime, Sequence[UsageRow]]:
        """What was counted, by where its bucket begins."""
        if self._node.serving is not None:
            self._node.serving.measured()
        time = "hour" if span.width == shapes.HOUR else "day"
        by = (time, *(shapes.DIMENSIONS[name] for name in needed))
        of = UsageOf(organisation=asked.organisation)
        found: dict[datetime, list[UsageRow]] = {}
        for row in self._node.usage.of(of, span.start, span.end, by, asked.asks.at):
            found.setdefault(shapes.bucket_of(row, span.width), []).append(row)
        return found


def beside(node: Node, desk: SpendDesk) -> Mapping[str, ASGIApp]:
    """By route, what answers it."""
    app = SpendReports(node, desk).app
    return {USAGE_REPORT: app, COST_REPORT: app, COST_ANALYTICS: app}
