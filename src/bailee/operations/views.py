"""Reports as plain values, the same wherever they are shown."""

from __future__ import annotations

from bailee.feedback.reports import Report


def report_view(report: Report) -> dict[str, object]:
    """A report as lists show it: without its content."""
    return {
        "id": report.id,
        "state": report.state,
        "issue": report.issue,
        "parts": list(report.parts),
        "bytes": report.bytes,
        "received": report.received_at.isoformat(),
        "kept_until": report.expires_at.isoformat(),
        "retention": {"clause": report.terms.clause, "period": report.terms.period},
        "account": report.account_id,
        "person": report.person_id,
        "key_id": report.key_id,
    }
