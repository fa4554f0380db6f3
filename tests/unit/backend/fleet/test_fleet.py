"""Registration, what operators see of Runtimes, what Runtimes may report."""

from __future__ import annotations

import stat

import pytest
from house import OTHER, START, TEAM

from yoi_bundles.backend.fleet.fleet import parse_labels
from yoi_bundles.backend.fleet.registry import Reported
from yoi_bundles.errors import (
    BundleMissingError,
    ForbiddenError,
    InvalidInputError,
    RevisionConflictError,
    UnauthenticatedError,
)
from yoi_bundles.model.ids import Digest, Name, RuntimeId
from yoi_bundles.wire.messages.runtimes import (
    BundleOnRuntime,
    BundleStatus,
    NackReason,
    StatusReport,
)

EU, US = RuntimeId("eu-1"), RuntimeId("us-1")
PUSH = "push-token-" + "x" * 32
SOME = Digest("ab" * 32)


@pytest.fixture
def backend(house):
    opened = house.backend()
    house.publish(opened)
    return opened


def report_of(house, name: str, *bundles: BundleStatus) -> StatusReport:
    return StatusReport(info=house.runtime(name).info(), bundles=bundles)


def test_a_registered_runtime_signs_in_with_the_token_it_was_given(house, backend):
    token = house.register(backend, "eu-1")

    caller = backend.credentials.verify(token, now=START)

    assert (caller.name, caller.role) == ("eu-1", "runtime")
    assert backend.fleet.verify_caller(caller).runtime_id == EU


def test_a_push_token_is_kept_for_its_owner_alone_and_goes_with_the_runtime(house, backend):
    house.register(backend, "eu-1", endpoint="http://127.0.0.1:1", push_token=PUSH)
    file = house.root / "backend" / "push-tokens" / "eu-1"
    mode, kept = stat.S_IMODE(file.stat().st_mode), file.read_text().strip()

    backend.fleet.unregister(EU)

    assert (mode, kept) == (0o600, PUSH)
    assert not file.exists()


def test_after_unregistering_the_token_is_worthless_and_the_id_free(house, backend):
    token = house.register(backend, "eu-1")
    caller = backend.credentials.verify(token, now=START)
    backend.fleet.unregister(EU)

    with pytest.raises(UnauthenticatedError):
        backend.credentials.verify(token, now=START)
    with pytest.raises(ForbiddenError):
        backend.fleet.verify_caller(caller)
    with pytest.raises(BundleMissingError):
        backend.fleet.unregister(EU)
    assert house.register(backend, "eu-1") != token


def test_a_runtime_whose_token_was_revoked_can_still_be_unregistered(house, backend):
    house.register(backend, "eu-1")
    backend.credentials.revoke("eu-1")

    backend.fleet.unregister(EU)

    assert backend.fleet.all_known() == ()


def test_an_id_that_is_a_persons_name_leaves_nothing_of_the_registration(house, backend):
    backend.credentials.create("eu-1", "publisher", now=house.clock())

    with pytest.raises(RevisionConflictError):
        house.register(backend, "eu-1", push_token=PUSH)

    assert backend.fleet.all_known() == ()
    assert not (house.root / "backend" / "push-tokens" / "eu-1").exists()
    assert [one.role for one in backend.credentials.list()] == ["publisher"]


def test_labels_choose_runtimes_and_all_of_them_must_match(house, backend):
    house.register(backend, "eu-1", region="eu")
    house.register(backend, "us-1", region="us")

    def listed(*labels: str) -> list[str]:
        return [str(one.runtime_id) for one in backend.fleet.list(labels).runtimes]

    assert listed() == ["eu-1", "us-1"]
    assert listed("region=eu") == ["eu-1"]
    assert listed("region=ap") == []
    assert listed("region=eu", "tier=gold") == []


@pytest.mark.parametrize("text", ["region", "=eu", "", "Region=eu", "a b=c"])
def test_a_text_that_is_no_label_is_refused(text):
    with pytest.raises(InvalidInputError) as raised:
        parse_labels([text])

    assert raised.value.hint


def test_a_label_may_hold_an_equals_sign():
    assert parse_labels(["a=b=c", "d="]) == {Name("a"): "b=c", Name("d"): ""}


def test_operators_see_which_workspaces_a_runtime_may_have(house, backend):
    house.register(backend, "eu-1", region="eu")
    house.register(backend, "all-1", region="us")
    house.register(backend, "us-1", region="us")

    seen = {str(one.runtime_id): one.workspaces for one in backend.fleet.list().runtimes}

    assert seen == {"all-1": (TEAM,), "eu-1": (TEAM,), "us-1": ()}


def test_a_report_is_taken_bundle_by_bundle(house, backend):
    house.register(backend, "eu-1")
    why = NackReason(code="forbidden_mode", message="no links")
    report = report_of(
        house,
        "eu-1",
        BundleStatus(workspace=TEAM, digest=SOME, state="rejected", reasons=(why,)),
    )

    backend.fleet.report(EU, report)

    view = backend.fleet.view(EU)
    assert (view.is_available, view.last_seen) == (True, house.clock())
    assert [(one.digest, one.state, one.last_error) for one in view.bundles] == [
        (SOME, "rejected", why)
    ]
    assert view.bundles[0].policy_digest == report.info.policy_digest


def test_what_a_runtime_says_of_workspaces_it_may_not_see_is_left_out(house, backend):
    house.register(backend, "eu-1")
    report = report_of(house, "eu-1", BundleStatus(workspace=OTHER, digest=SOME, state="accepted"))

    backend.fleet.report(EU, report)

    assert backend.fleet.view(EU).bundles == ()


def test_a_runtime_reports_only_of_itself_and_only_if_it_is_registered(house, backend):
    house.register(backend, "eu-1")
    report = report_of(house, "us-1")

    with pytest.raises(ForbiddenError):
        backend.fleet.report(EU, report)
    with pytest.raises(BundleMissingError):
        backend.fleet.report(US, report)
    assert backend.fleet.view(EU).reported is None


def test_reports_that_come_together_are_kept_though_one_is_of_nobody(house, backend):
    for name in ("eu-1", "us-1"):
        house.register(backend, name)
    registry = backend._registry
    status = BundleOnRuntime(workspace=TEAM, digest=SOME, state="accepted", last_checked=START)
    reports = [
        Reported(house.runtime(name).info(), START, (status,)) for name in ("eu-1", "gone", "us-1")
    ]

    errors = registry._write_reports(reports)

    assert [getattr(one, "code", None) for one in errors] == [None, "bundle_missing", None]
    assert registry.bundles_on(EU) == registry.bundles_on(US) == (status,)
    assert registry.get(EU).last_seen == START


def test_a_report_without_times_leaves_those_that_are_known(house, backend):
    house.register(backend, "eu-1")
    first = BundleStatus(workspace=TEAM, digest=SOME, state="active", received_at=START)
    backend.fleet.report(EU, report_of(house, "eu-1", first))
    house.clock.advance(hours=1)
    again = BundleStatus(workspace=TEAM, digest=SOME, state="accepted")

    backend.fleet.report(EU, report_of(house, "eu-1", again))

    known = backend.fleet.view(EU).bundles[0]
    assert (known.state, known.last_fetched, known.last_checked) == (
        "accepted", START, house.clock(),
    )  # fmt: skip


@pytest.mark.parametrize("labels", [(), ("region=eu",)])
@pytest.mark.parametrize("limit", [1, 2, 3, 4, 100])
def test_pages_hold_each_runtime_once_in_order(house, backend, labels, limit):
    for number in range(8):
        house.register(backend, f"rt-{number}", region="eu" if number % 2 else "us")
    whole = backend.fleet.list(labels)
    seen, after = [], None
    while True:
        page = backend.fleet.list(labels, after=after, limit=limit)
        assert len(page.runtimes) <= limit
        seen += page.runtimes
        after = page.next
        if after is None:
            break

    assert (tuple(seen), whole.next) == (whole.runtimes, None)
    assert len(seen) == (4 if labels else 8)
