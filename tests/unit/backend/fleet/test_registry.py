"""What the Backend remembers of its Runtimes."""

from __future__ import annotations

from datetime import timedelta

import pytest
from house import OTHER, START, TEAM

from yoi_bundles.backend.fleet.registry import Registry
from yoi_bundles.errors import BundleMissingError, RevisionConflictError
from yoi_bundles.model.ids import ContentHash, Digest, Name, RuntimeId
from yoi_bundles.wire.messages.runtimes import BundleOnRuntime, NackReason

EU = RuntimeId("eu-1")
US = RuntimeId("us-1")
SOME = Digest("ab" * 32)
POLICY = ContentHash("sha256:" + "12" * 32)
LATER = START + timedelta(minutes=5)
WHY = NackReason(code="forbidden_mode", message="no links", hint="replace it")


def note(registry, workspace, digest, state, *, error=None, policy_digest=None, **times):
    registry.note_bundle(
        EU,
        BundleOnRuntime(
            workspace=workspace,
            digest=digest,
            state=state,
            last_error=error,
            policy_digest=policy_digest,
            **{f"last_{name}": time for name, time in times.items()},
        ),
    )


@pytest.fixture
def registry(tmp_path):
    opened = Registry(tmp_path / "registry.sqlite3")
    opened.add(EU, endpoint="http://127.0.0.1:1", labels={Name("region"): "eu"}, now=START)
    yield opened
    opened.close()


def test_a_runtime_is_known_as_it_was_added(registry):
    known = registry.get(EU)

    assert (known.endpoint, known.labels) == ("http://127.0.0.1:1", {Name("region"): "eu"})
    assert known.is_available is None


def test_an_id_is_taken_once(registry):
    with pytest.raises(RevisionConflictError) as raised:
        registry.add(EU, endpoint=None, labels={}, now=START)

    assert raised.value.code == "revision_conflict"
    assert registry.get(EU).endpoint == "http://127.0.0.1:1"


@pytest.mark.parametrize("act", [Registry.get, Registry.remove])
def test_one_that_is_not_registered_is_missing(registry, act):
    with pytest.raises(BundleMissingError) as raised:
        act(registry, US)

    assert raised.value.code == "bundle_missing"


def test_all_are_listed_by_id(registry):
    registry.add(RuntimeId("ap-1"), endpoint=None, labels={}, now=START)

    assert [str(one.runtime_id) for one in registry.all()] == ["ap-1", "eu-1"]


def test_availability_is_what_the_last_contact_said(registry):
    registry.note_failure(EU, "x" * 900, now=START)
    failed = registry.get(EU)
    registry.note_seen(EU, now=LATER)
    seen = registry.get(EU)
    registry.note_failure(EU, "gone", now=LATER + timedelta(minutes=1))

    assert (failed.is_available, len(failed.last_error)) == (False, 500)
    assert (seen.is_available, seen.last_seen, seen.last_error) == (True, LATER, None)
    assert registry.get(EU).is_available is False


def test_a_state_replaces_the_one_before_and_times_not_given_stay(registry):
    note(registry, TEAM, SOME, "accepted", checked=START, fetched=START)
    note(registry, TEAM, SOME, "active", checked=LATER, activated=LATER)

    (known,) = registry.bundles_on(EU)

    assert known.state == "active"
    assert (known.last_checked, known.last_fetched, known.last_activated) == (LATER, START, LATER)


def test_a_rejection_is_found_under_its_own_policy_only(registry):
    note(registry, TEAM, SOME, "rejected", error=WHY, policy_digest=POLICY)
    other_policy = ContentHash("sha256:" + "34" * 32)

    assert registry.find_rejection(EU, TEAM, SOME, POLICY, None) == WHY
    assert registry.find_rejection(EU, TEAM, SOME, other_policy, None) is None
    assert registry.find_rejection(EU, TEAM, SOME, POLICY, other_policy) is None
    assert registry.find_rejection(EU, OTHER, SOME, POLICY, None) is None
    assert registry.find_rejection(EU, TEAM, Digest("cd" * 32), POLICY, None) is None
    assert registry.find_rejection(US, TEAM, SOME, POLICY, None) is None


def test_what_was_accepted_after_all_is_no_rejection(registry):
    note(registry, TEAM, SOME, "rejected", error=WHY, policy_digest=POLICY)
    note(registry, TEAM, SOME, "accepted", policy_digest=POLICY)

    assert registry.find_rejection(EU, TEAM, SOME, POLICY, None) is None
    assert registry.bundles_on(EU)[0].last_error is None


def test_forgetting_a_runtime_forgets_its_bundles(registry):
    note(registry, TEAM, SOME, "accepted")
    registry.remove(EU)

    assert registry.bundles() == {}
    registry.add(EU, endpoint=None, labels={}, now=LATER)
    assert registry.bundles_on(EU) == ()


def test_everything_is_there_after_reopening(registry, tmp_path):
    note(registry, TEAM, SOME, "rejected", checked=START, error=WHY, policy_digest=POLICY)
    before = (registry.all(), registry.bundles())
    registry.close()

    again = Registry(tmp_path / "registry.sqlite3")

    assert (again.all(), again.bundles()) == before
    again.close()


CHANGES = {
    "a credential made": lambda r: r.credentials.create("ada", "operator", now=START),
    "a token changed": lambda r: r.credentials.rotate("olu", now=START),
    "a change finished": lambda r: r.credentials.finish_rotation("max"),
    "a credential revoked": lambda r: r.credentials.revoke("olu"),
    "a Runtime made known": lambda r: r.add(RuntimeId("new"), endpoint=None, labels={}, now=START),
    "a Runtime forgotten": lambda r: r.remove(EU),
}
REPORTS = {
    "a contact": lambda r: r.note_seen(EU, now=START),
    "a failure": lambda r: r.note_failure(EU, "away", now=START),
    "a state": lambda r: note(r, TEAM, SOME, "accepted"),
}


@pytest.mark.parametrize(
    ("change", "is_forgotten"),
    [*((one, True) for one in CHANGES.values()), *((one, False) for one in REPORTS.values())],
    ids=[*CHANGES, *REPORTS],
)
def test_what_is_kept_in_memory_ends_when_credentials_or_identities_change_and_not_before(
    registry, change, is_forgotten
):
    for name in ("olu", "max"):
        registry.credentials.create(name, "operator", now=START)
    registry.credentials.rotate("max", now=START)
    before = registry._database.epoch()

    change(registry)

    assert (registry._database.epoch() != before) is is_forgotten


def test_a_runtime_registered_anew_has_its_new_labels_at_once(registry):
    assert registry.identify(EU).labels
    registry.remove(EU)
    with pytest.raises(BundleMissingError):
        registry.identify(EU)
    registry.add(EU, endpoint=None, labels={Name("region"): "us"}, now=START)

    assert registry.identify(EU).labels == {Name("region"): "us"}
