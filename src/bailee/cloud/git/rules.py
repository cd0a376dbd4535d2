"""What a session may push: one branch, and only forward. Pure."""

from __future__ import annotations

from bailee.cloud.git.pushes import Push


def refused(push: Push, branch: str) -> tuple[str, dict[str, str]] | None:
    """The rule and the reason for each ref of a push that may not be; None if all of it may.

    `branch` is the full name of the one ref that may be pushed.
    """
    reasons: dict[str, str] = {}
    rule = ""
    short = branch.removeprefix("refs/heads/")
    for command in push.commands:
        if command.ref != branch:
            rule, reasons[command.ref] = "ref", f"this session pushes only to {short}"
        elif command.deletes:
            rule, reasons[command.ref] = "delete", "this session deletes no branch"
    return (rule, reasons) if reasons else None


NOT_FORWARD = (
    "not seen to be a fast-forward, and this session may not force; "
    "merge what is on the branch, or commit on top of it"
)
