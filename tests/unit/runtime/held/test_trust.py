"""Trust: signatures, rollbacks, forks and staleness, rule by rule."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from yoi_bundles.errors import (
    NotFastForwardError,
    RollbackRefusedError,
    StaleBundleError,
    UntrustedSignatureError,
)
from yoi_bundles.model.host_policy import BundleRules, TrustRules
from yoi_bundles.model.ids import CommitId, Digest, WorkspaceId
from yoi_bundles.model.revision import Advance, Provenance, ReceivedCommit, Revision
from yoi_bundles.runtime.held.trust import (
    verify_advance,
    verify_fresh,
    verify_recent,
    verify_signed,
)

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ANYBODY = TrustRules()
SIGNED = TrustRules(signature_required=True, allowed_signers_file="/etc/signers")


def revision(number, mark="a", *, is_signed=False):
    return Revision(
        workspace=WorkspaceId("acme"),
        number=number,
        commit=CommitId(f"{number:063x}{mark}"),
        digest=Digest("d" * 64),
        parent=None,
        created_at=NOW,
        provenance=Provenance(
            source_kind="directory", source_uri="x", published_by="me", built_with="test"
        ),
        is_signed=is_signed,
    )


def advance(current, *incoming, descends=True):
    commits = tuple(ReceivedCommit(entry, b"raw") for entry in incoming)
    return Advance(current, commits, descends)


def verify(step, trust=ANYBODY, check=None):
    verify_advance(step, trust=trust, verify_signature=check)


def test_the_first_revision_is_taken():
    verify(advance(None, revision(5)))


def test_a_descendant_with_a_higher_number_is_taken():
    verify(advance(revision(1), revision(2), revision(3)))


def test_the_current_commit_is_taken_again():
    verify(advance(revision(2), revision(2)))


def test_another_commit_of_the_current_number_is_equivocation():
    with pytest.raises(NotFastForwardError, match="another commit") as caught:
        verify(advance(revision(2), revision(2, "b")))
    assert caught.value.code == "not_fast_forward"
    assert caught.value.facts["expected"].endswith("2a")
    assert caught.value.facts["actual"].endswith("2b")


@pytest.mark.parametrize("descends", [True, False])
def test_a_lower_number_is_a_rollback_whatever_it_descends_from(descends):
    with pytest.raises(RollbackRefusedError) as caught:
        verify(advance(revision(3), revision(2), descends=descends))
    assert caught.value.code == "rollback_refused"
    assert (caught.value.facts["expected"], caught.value.facts["actual"]) == (3, 2)


def test_a_higher_number_of_another_history_is_refused():
    with pytest.raises(NotFastForwardError, match="does not descend"):
        verify(advance(revision(3), revision(4), descends=False))


def good(commit, principals):
    """Believes every signature."""


def bad(commit, principals):
    raise UntrustedSignatureError("no")


def test_signatures_do_not_count_where_nobody_wants_them():
    verify(advance(None, revision(1)), check=bad)


def test_every_incoming_commit_is_verified_with_the_workspaces_principals():
    seen = []

    def check(commit, principals):
        seen.append((commit.revision.number, principals))

    incoming = [revision(number, is_signed=True) for number in (1, 2, 3)]
    verify(advance(None, *incoming), SIGNED, check)
    assert seen == [(1, None), (2, None), (3, None)]
    limited = SIGNED.model_copy(update={"principals": {WorkspaceId("acme"): ("a@x",)}})
    verify(advance(None, incoming[0]), limited, check)
    assert seen[-1] == (1, ("a@x",))


def test_one_unsigned_commit_below_a_signed_tip_is_refused():
    step = advance(None, revision(1), revision(2, is_signed=True))
    with pytest.raises(UntrustedSignatureError, match="revision 1 is not signed") as caught:
        verify(step, SIGNED, good)
    assert caught.value.code == "untrusted_signature"


def test_a_bad_signature_is_refused():
    with pytest.raises(UntrustedSignatureError):
        verify(advance(None, revision(1, is_signed=True)), SIGNED, bad)


def test_without_a_verifier_nothing_is_believed():
    with pytest.raises(UntrustedSignatureError, match="cannot verify"):
        verify(advance(None, revision(1, is_signed=True)), SIGNED)


def test_signatures_are_looked_at_before_history():
    step = advance(revision(2), revision(1, is_signed=True))
    with pytest.raises(UntrustedSignatureError):
        verify(step, SIGNED, bad)
    with pytest.raises(RollbackRefusedError):
        verify(step, SIGNED, good)


def test_the_policy_alone_decides_what_must_be_signed():
    unsigned = [ReceivedCommit(revision(1), b"raw")]
    verify_signed(unsigned, trust=ANYBODY, verify_signature=bad)
    for check in (good, None):
        with pytest.raises(UntrustedSignatureError):
            verify_signed(unsigned, trust=SIGNED, verify_signature=check)
    signed = [ReceivedCommit(revision(1, is_signed=True), b"raw")]
    verify_signed(signed, trust=SIGNED, verify_signature=good)
    with pytest.raises(UntrustedSignatureError):
        verify_signed(signed, trust=SIGNED, verify_signature=bad)


@pytest.mark.parametrize("years", [-10, 10])
def test_clocks_have_no_say_in_the_order_of_revisions(years):
    """A commit dated back follows all the same; one dated ahead overtakes nothing."""
    moved = NOW.replace(year=NOW.year + years)
    step = replace(revision(3), created_at=moved)
    verify(advance(revision(2), step))
    with pytest.raises(RollbackRefusedError):
        verify(advance(revision(4), step))
    with pytest.raises(NotFastForwardError):
        verify(advance(revision(2), step, descends=False))
    with pytest.raises(NotFastForwardError):
        verify(advance(revision(3, "b"), step))


# --- how far behind ---


def other(number):
    return replace(revision(number), digest=Digest("e" * 64))


@pytest.mark.parametrize(
    ("number", "limit", "is_allowed"),
    [(1, None, True), (9, 0, False), (10, 0, True), (7, 3, True), (6, 3, False), (1, 9, True)],
)
def test_new_workers_may_be_so_far_behind_and_no_further(number, limit, is_allowed):
    rules = BundleRules(max_behind=limit)
    asked = revision(10) if number == 10 else other(number)
    if is_allowed:
        verify_recent(asked, revision(10), rules)
        return
    with pytest.raises(RollbackRefusedError, match=f"is {10 - number} behind") as caught:
        verify_recent(asked, revision(10), rules)
    assert caught.value.facts == {
        "limit": limit,
        "actual": 10 - number,
        "rule": "bundles.max_behind",
    }


def test_the_newest_bundle_is_not_behind_under_an_older_number():
    verify_recent(revision(1), revision(10), BundleRules(max_behind=0))


# --- staleness ---


def ago(seconds):
    return NOW - timedelta(seconds=seconds)


RULES = BundleRules(stale_warn_seconds=60, stale_refuse_seconds=600)


@pytest.mark.parametrize("last", [None, ago(10**9)])
def test_without_thresholds_nothing_is_ever_stale(last):
    assert verify_fresh(last, NOW, BundleRules()) is None


@pytest.mark.parametrize("age", [0, 59, 60])
def test_fresh_enough_is_silent(age):
    assert verify_fresh(ago(age), NOW, RULES) is None


@pytest.mark.parametrize("age", [61, 600])
def test_past_the_first_threshold_there_is_a_warning(age):
    assert f"{age} seconds ago" in verify_fresh(ago(age), NOW, RULES)


def test_past_the_second_threshold_it_is_refused():
    with pytest.raises(StaleBundleError) as caught:
        verify_fresh(ago(601), NOW, RULES)
    assert caught.value.code == "stale_bundle"
    assert caught.value.facts == {"limit": 600, "actual": 601}


def test_never_confirmed_is_as_stale_as_can_be():
    with pytest.raises(StaleBundleError, match="ever confirmed"):
        verify_fresh(None, NOW, RULES)
    assert "ever confirmed" in verify_fresh(None, NOW, BundleRules(stale_warn_seconds=60))


def test_a_contact_in_the_future_does_not_look_fresh_for_ever():
    with pytest.raises(StaleBundleError):
        verify_fresh(ago(-601), NOW, RULES)


def test_each_threshold_works_alone():
    assert verify_fresh(ago(10**6), NOW, BundleRules(stale_warn_seconds=60)) is not None
    with pytest.raises(StaleBundleError):
        verify_fresh(ago(61), NOW, BundleRules(stale_refuse_seconds=60))
    assert verify_fresh(ago(60), NOW, BundleRules(stale_refuse_seconds=60)) is None
