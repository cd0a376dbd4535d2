"""What a home's settings decide, as far as its policy document lets them (`policy.bounds`).

Each is asked for when it is used: another document holds from the next time on, and no setting
keeps a home from starting because of one. What is no value of a setting at all is refused at the
start.

Rows: P1, R5, R6.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Final

from bailee.accounts import Account
from bailee.cases import Deadlines
from bailee.config import Settings
from bailee.errors import InputError
from bailee.node.erasure_receipt import KeysOpen
from bailee.node.ground import Ground
from bailee.policy import Policy, bounds
from bailee.policy.amounts import most_in_words
from bailee.policy.document import Language
from bailee.policy.period import parse
from bailee.telemetry.records import FLOWS, DataClass

_LONGEST_DEADLINE: Final = 366  # days
_FLOW_OF: Final = {kept: flow for flow, kept in FLOWS.items()}


def shredding_after(at: Ground) -> timedelta:
    """How long after a rotation of the root the next one comes."""
    setting = at.settings.number(bounds.SETTING_OF[bounds.OLD_KEYS])
    return timedelta(hours=bounds.hours(at.policy.document, bounds.OLD_KEYS, setting))


def snapshots_live(at: Ground) -> timedelta:
    """For how long a snapshot of the keyring lives that is taken now."""
    setting = at.settings.number(bounds.SETTING_OF[bounds.KEY_SNAPSHOTS])
    return timedelta(hours=bounds.hours(at.policy.document, bounds.KEY_SNAPSHOTS, setting))


def snapshots_at_most(at: Ground) -> timedelta | None:
    """For how long any lives that was taken before, by the document alone; None: as long as it was
    taken for. What another process was told to take is not shortened by this one's settings.
    """
    bound = at.policy.document.bound(bounds.KEY_SNAPSHOTS)
    if bound is None or bound.at_most is None:
        return None
    return timedelta(hours=bounds.hours_of(bound.at_most))


def keys_open(at: Ground, language: Language) -> KeysOpen:
    """For how long copies of keys open what was destroyed now, by the document that holds."""
    hours = shredding_after(at) // timedelta(hours=1)
    bound = at.policy.document.bound(bounds.KEY_SNAPSHOTS)
    most = None if bound is None else bound.at_most
    return KeysOpen(
        most_in_words(bounds.OLD_KEYS, f"PT{hours}H", language),
        None if most is None else most_in_words(bounds.KEY_SNAPSHOTS, most, language),
    )


def measurements_go(at: Ground, data_class: DataClass) -> tuple[str, ...]:
    """Where metrics, or errors, may go."""
    return bounds.places(at.policy.document, _FLOW_OF[data_class])


def bytes_stored(at: Ground, of: str, account: Account) -> int:
    """How many bytes of an account may be kept, of one of `bounds.SIZES`; 0: no limit. Of sessions
    the MiB that were set for it alone take the place of the setting.
    """
    setting = at.settings.number(bounds.SETTING_OF[of])
    if of == bounds.STORED and account.stored_mb is not None:
        setting = account.stored_mb
    policy = at.policy_of(account)
    own = () if policy.own is None else policy.own.bounds
    return bounds.mib(policy.document, of, setting, own) << 20


def deadlines(at: Ground) -> Callable[[], Deadlines]:
    """How long a request of a person may take, whenever it is asked.

    Raises:
        InputError: code `configuration`, a setting is no period.
    """
    first, further = (
        _period(at.settings, bounds.SETTING_OF[one]) for one in (bounds.ANSWERS, bounds.FURTHER)
    )

    def held() -> Deadlines:
        document = at.policy.document
        return Deadlines(
            bounds.times(document, bounds.ANSWERS, first),
            bounds.times(document, bounds.FURTHER, further),
        )

    return held


def _period(settings: Settings, name: str) -> str:
    given = settings.text(name) or ""
    try:
        period = parse(given)
    except InputError as error:
        raise InputError(f"{name}: {error.message}", code="configuration") from None
    if period.count == 0 or period.longest_days > _LONGEST_DEADLINE:
        raise InputError(
            f"{name} is {given!r}.", code="configuration", hint="a day at least, a year at most"
        )
    return str(period)


def sign_up(settings: Settings, policy: Policy) -> frozenset[str]:
    """The plans that people may take by themselves; none where sign-up is closed. Of these the
    document says at each time which it has.

    Raises:
        InputError: code `configuration`.
    """
    said = settings.text("accounts.sign_up")
    if said not in ("open", "closed"):
        raise InputError(
            f"accounts.sign_up is {said!r}.", code="configuration", hint="use open, or closed"
        )
    if said == "closed":
        return frozenset()
    consumers = [plan.name for plan in policy.plans.values() if plan.segment == "consumer"]
    names = frozenset(
        name.strip() for name in (settings.text("accounts.sign_up_plans") or "").split(",")
    )
    if not names <= set(consumers):
        raise InputError(
            "sign-up is open, and accounts.sign_up_plans does not say for which plans.",
            code="configuration",
            hint=f"name some of {', '.join(consumers)}: whoever signs up uses the model on them",
        )
    return names
