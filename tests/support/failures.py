"""What fails around a server, and the tests that show what comes of it.

`make faults` runs them and prints the table; the page `docs/reference/failures.md` is made from it.
What one test shows of several failures stands at each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

LOST: Final = "nothing lost"
KEPT: Final = "nothing kept too long"
LET_IN: Final = "nobody let in"
CLAIMS: Final = (LOST, KEPT, LET_IN)


@dataclass(frozen=True, slots=True)
class Failure:
    """A line of the table: what fails, and for each claim the tests that show it, `file::name`
    below `tests/`. A claim that has none is not shown, and `lacks` says what is missing; one that
    the failure does not touch is in `no_matter`.
    """

    what: str
    shown: Mapping[str, tuple[str, ...]]
    lacks: str = ""
    no_matter: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def tests(self) -> tuple[str, ...]:
        """All of them, each once."""
        return tuple(dict.fromkeys(test for tests in self.shown.values() for test in tests))


_AWAY: Final = "faults/test_database_away.py::test_a_server_outlives_its_database"
_PROMOTED: Final = (
    "faults/test_promoted_standby.py::test_a_server_goes_on_with_the_standby_that_has_everything"
)
_LACKING: Final = (
    "faults/test_promoted_standby.py::"
    "test_a_standby_that_lacks_something_is_not_taken_for_the_newest"
)
_TURNED: Final = (
    "faults/test_standby_of_the_keys.py::test_the_older_root_stays_until_standbys_have_the_keys"
)
_BUCKET: Final = "integration/app/test_objects_in_a_bucket.py::"
_FULL: Final = "integration/app/test_full_disk.py::"
_CLOCK: Final = "faults/test_clock_of_a_server.py::"
_KILL: Final = "faults/test_home_kill.py::"
_TWO: Final = "faults/test_two_servers.py::"
_BESIDE: Final = "faults/test_serve_gateway.py::"
_WITHOUT_DATABASES: Final = (
    f"{_BESIDE}test_without_the_databases_gateways_go_on_for_what_the_policy_says"
)
_BEHIND: Final = (
    "faults/test_standby_of_the_keys.py::"
    "test_an_erasure_is_done_once_a_standby_has_it_or_its_time_is_over"
)
_CUT_OFF: Final = (
    "faults/test_two_servers.py::"
    "test_a_server_that_is_cut_off_goes_on_for_as_long_as_the_document_says"
)
_LEASES: Final = "integration/db/test_leases.py::"

FAILURES: Final = (
    Failure(
        "The database is away, and comes back",
        {
            LOST: (_AWAY,),
            KEPT: (_AWAY,),
            LET_IN: (
                _AWAY,
                "integration/app/test_activation.py::"
                "test_the_document_says_for_how_long_requests_go_on_without_databases",
            ),
        },
        lacks="A key that is revoked elsewhere meanwhile is good here for as long as the document "
        "says.",
    ),
    Failure(
        "The primary is lost, and a synchronous standby promoted",
        {LOST: (_PROMOTED,), KEPT: (_PROMOTED,), LET_IN: (_PROMOTED,)},
    ),
    Failure(
        "The primary is lost, and a standby promoted that lacks something",
        {
            LOST: (_LACKING, f"{_LEASES}test_nothing_is_read_of_an_older_state"),
            KEPT: (_LACKING,),
            LET_IN: (_LACKING, f"{_LEASES}test_nothing_is_written_to_an_older_state"),
        },
        lacks="What the standby had not got is lost, which is found and said; nothing is served or "
        "shown until an operator accepts it. With the server's own "
        "disk lost at the same time it may not be found.",
    ),
    Failure(
        "The root is turned while a standby of the keys is behind, and that is promoted",
        {LOST: (_TURNED,), KEPT: (_TURNED,)},
        lacks="After five minutes the older root goes all the same; a standby that is promoted "
        "without the new keys after that opens none. One that is away and has no slot is not "
        "known.",
        no_matter={LET_IN: "it is about keys of what is kept"},
    ),
    Failure(
        "S3 fails, or answers nothing after it has stored",
        {
            LOST: (f"{_BUCKET}test_the_bucket_is_away_for_a_while",),
            KEPT: (
                f"{_BUCKET}test_the_bucket_is_away_for_a_while",
                f"{_BUCKET}test_an_object_that_no_row_has",
            ),
        },
        no_matter={LET_IN: "who may do what is not in it"},
    ),
    Failure(
        "S3 is slow",
        {
            LOST: (f"{_BUCKET}test_nobody_waits_for_a_slow_store",),
            KEPT: (f"{_BUCKET}test_nobody_waits_for_a_slow_store",),
        },
        no_matter={LET_IN: "who may do what is not in it"},
    ),
    Failure(
        "The spool's disk is full",
        {
            LOST: (
                f"{_FULL}test_what_was_recorded_is_sealed_on_a_full_disk",
                f"{_FULL}test_on_a_full_disk_nothing_new_is_recorded_until_there_is_room",
                "integration/gateway/test_durability.py::"
                "test_a_document_that_can_not_be_recorded_is_refused",
                "integration/gateway/test_durability.py::"
                "test_a_stream_that_can_not_be_recorded_has_no_proper_end",
            ),
            KEPT: (f"{_FULL}test_a_full_disk_opens_lists_shows_deletes_and_sweeps",),
        },
        no_matter={LET_IN: "keys and people are in memory"},
    ),
    Failure(
        "The clock jumps",
        {
            LOST: (
                f"{_CLOCK}test_a_step_is_held_entered_and_shown",
                f"{_CLOCK}test_what_a_wrong_clock_makes_due_is_shown_to_nobody_and_stays",
            ),
            KEPT: (
                f"{_CLOCK}test_the_clock_is_set_back_on_what_is_held",
                "faults/test_late_server.py::test_no_key_was_destroyed_in_time",
            ),
            LET_IN: (f"{_CLOCK}test_choices_count_in_their_order_whatever_the_clock_says",),
        },
        lacks="A key that ends at a time is not tried with a clock that is set back.",
    ),
    Failure(
        "A worker is killed in a sweep",
        {
            LOST: (f"{_KILL}test_a_move",),
            KEPT: (
                f"{_KILL}test_an_expiry",
                f"{_KILL}test_an_erasure",
                f"{_KILL}test_a_shred",
            ),
        },
        no_matter={LET_IN: "a sweep lets nobody in"},
    ),
    Failure(
        "The gateway is killed in a stream",
        {
            LOST: (
                "faults/test_server_killed.py::test_no_acknowledged_exchange_is_lost",
                "faults/test_vault_kill.py::test_at_a_point",
            ),
            KEPT: ("faults/test_what_is_left.py::test_what_ended_the_process_is_not_tried_again",),
        },
        no_matter={LET_IN: "keys are in the database"},
    ),
    Failure(
        "A gateway of its own is killed",
        {LOST: (f"{_BESIDE}test_a_gateway_that_is_killed_loses_nothing_that_was_complete",)},
        no_matter={
            KEPT: "it has nothing on a disk",
            LET_IN: "keys are in the database",
        },
    ),
    Failure(
        "Gateways of their own have no server, or no databases",
        {
            LOST: (
                f"{_BESIDE}test_without_the_server_gateways_go_on_for_what_the_policy_says",
                _WITHOUT_DATABASES,
            ),
            LET_IN: (
                f"{_BESIDE}test_a_cloud_sessions_key_is_good_at_each_gateway_until_it_ends",
                _WITHOUT_DATABASES,
            ),
        },
        no_matter={KEPT: "what can't be kept in the database is refused"},
        lacks="Where a document has gateways go on without the databases, a key that was revoked "
        "meanwhile is good at one that is cut off alone, for as long.",
    ),
    Failure(
        "A standby is behind while somebody is erased",
        {KEPT: (_BEHIND,), LET_IN: (_BEHIND,)},
        no_matter={LOST: "what is erased is to be lost"},
    ),
    Failure(
        "Two processes ask a provider for one sign-in",
        {
            LOST: (
                "integration/accounts/test_renewal_claims.py::"
                "test_of_two_processes_one_asks_the_provider",
            ),
        },
        no_matter={KEPT: "it keeps nothing", LET_IN: "the provider says who is"},
    ),
    Failure(
        "The network parts a server from its database",
        {
            LOST: (f"{_TWO}test_a_holder_that_is_cut_off_is_outlived",),
            KEPT: (_CUT_OFF,),
            LET_IN: (_CUT_OFF,),
        },
        lacks="What the one that is cut off has recorded meanwhile lies on its disk alone, and "
        "nobody seals it once another has its place.",
    ),
    Failure(
        "The same is delivered twice",
        {
            LOST: (
                "integration/gateway/test_once.py::"
                "test_a_post_that_was_taken_whole_is_never_written_again",
                "integration/feedback/test_reports.py::"
                "test_a_report_that_is_sent_again_is_one_report",
                "integration/telemetry/test_storage.py::"
                "test_a_crash_between_the_steps_of_compaction_counts_nothing_twice",
            ),
            KEPT: (
                "integration/vault/test_waiting.py::"
                "test_a_deletion_does_not_wait_and_claims_nothing",
            ),
        },
        lacks="A bug report that is sent again after it was withdrawn is not tried.",
        no_matter={LET_IN: "each delivery has to have a key"},
    ),
    Failure(
        "A home is restored while its old one runs",
        {
            LOST: (
                "integration/backup/test_on_postgresql.py::"
                "test_what_lives_comes_over_and_what_was_ended_does_not",
            ),
            KEPT: ("integration/backup/test_restoring.py::test_nothing_that_was_ended_comes_back",),
            LET_IN: (
                "integration/backup/test_restoring.py::"
                "test_ways_in_that_were_closed_since_stay_closed",
                "integration/backup/test_on_postgresql.py::"
                "test_databases_that_are_somebodys_are_not_written_to",
            ),
        },
        lacks="What the old one records after its log was taken is not in the restored one.",
    ),
    Failure(
        "Two lead",
        {
            LOST: (f"{_TWO}test_a_server_that_was_stopped_finds_another_in_its_place",),
            KEPT: (f"{_LEASES}test_a_holder_that_was_stopped_writes_nothing_afterwards",),
            LET_IN: (f"{_LEASES}test_taken_while_a_connection_is_broken",),
        },
        lacks="The one that was cut off answers by what it knew, for as long as the document says.",
    ),
)
