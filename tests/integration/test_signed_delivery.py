"""Signed revisions from publisher to Worker: what host policy wants is what decides, every time."""

from __future__ import annotations

import pytest
from house import POLICY, START, TEAM, digest_of, publish_request, worker_request, workspace_files
from signing_keys import DEV, Keys, needs_ssh, run

from yoi_bundles.author.signed_request import sign_request
from yoi_bundles.errors import (
    BundleError,
    NotFastForwardError,
    RollbackRefusedError,
    TransportError,
    UntrustedSignatureError,
)
from yoi_bundles.model.ids import RuntimeId
from yoi_bundles.runtime.follow.follower import Follower
from yoi_bundles.store import parse_commit
from yoi_bundles.wire.client.backend_client import BackendClient

TRUST = """
[trust]
signature_required = true
allowed_signers_file = "{signers}"
revoked_keys_file = "{revoked}"
"""


@pytest.fixture
def keys(house):
    directory = house.root / "keys"
    directory.mkdir()
    made = Keys(directory)
    made.private("dev")
    made.private("eve")
    made.allow(f"{DEV} {{dev}}")
    (directory / "revoked").write_text("")
    (directory / "revoked").chmod(0o644)
    return made


@pytest.fixture
def signing_policy(house, keys):
    text = TRUST.format(signers=keys.signers, revoked=keys.directory / "revoked")
    return house.policy(POLICY + text)


@pytest.fixture
def backend(house):
    return house.backend()


def publish(backend, keys=None, key="dev", text="", when=None):
    """Publish a revision, signed unless there are no keys."""
    request = publish_request(workspace_files(prompts__role__coder=text))
    if keys is not None:
        store = backend.publishing._repositories.find(TEAM)
        head = None if store is None else store.find_head()
        request = sign_request(
            request,
            TEAM,
            head,
            digest=digest_of(request),
            created_at=when or START,
            sign=keys.signer(key),
        )
    return backend.publishing.publish(TEAM, request).revision


def carry(backend, runtime, revision, *, is_shallow=False):
    file = backend.bundle_file(revision.digest, workspace=TEAM, is_shallow=is_shallow)
    return runtime.put_bundle(TEAM, revision.digest, [file.path.read_bytes()])


def strip(root, revision):
    """Rewrite a repository on disk: the same revision without its signature."""
    git = ("git", "--git-dir", root / "bundles" / "team.git")
    raw = run(*git, "cat-file", "commit", str(revision.commit))
    plain = parse_commit(raw).payload
    bare = run(*git, "hash-object", "-t", "commit", "-w", "--stdin", data=plain).decode().strip()
    for ref in ("refs/heads/main", f"refs/bundles/{revision.digest}"):
        run(*git, "update-ref", ref, bare)
    assert run(*git, "rev-parse", "main^{tree}").decode().strip() == str(revision.digest)


# --- receive ---


@needs_ssh
def test_a_signed_line_is_taken_and_used(house, keys, signing_policy, backend):
    runtime = house.runtime(policy=signing_policy)
    carry(backend, runtime, publish(backend, keys))
    newest = publish(backend, keys, text="\nBe exact.\n")
    assert carry(backend, runtime, newest).is_new
    assert carry(backend, runtime, newest).is_new is False
    made = runtime.create_worker(worker_request(newest.digest))
    assert made.worker.receipt.commit == newest.commit
    assert runtime.plan_launch(made.worker.worker_id)
    assert runtime.info().following[0].distrust is None


@needs_ssh
def test_of_a_tip_alone_only_the_tip_has_to_be_signed(house, keys, signing_policy, backend):
    publish(backend, text="\nBegan unsigned.\n")
    signed = publish(backend, keys)
    runtime = house.runtime(policy=signing_policy)
    with pytest.raises(UntrustedSignatureError):
        carry(backend, runtime, signed)  # with all of history
    assert carry(backend, runtime, signed, is_shallow=True).is_new
    assert runtime.held.haves(TEAM) == (signed.commit,)
    assert runtime.create_worker(worker_request(signed.digest)).is_new

    unsigned = publish(backend, text="\nUnsigned again.\n")
    other = house.runtime("eu-2", policy=signing_policy)
    for host in (runtime, other):
        with pytest.raises(UntrustedSignatureError):
            carry(backend, host, unsigned, is_shallow=True)


@needs_ssh
@pytest.mark.parametrize("bad", [0, 1, 2])
def test_every_new_commit_is_checked_not_only_the_tip(house, keys, signing_policy, backend, bad):
    runtime = house.runtime(policy=signing_policy)
    for number in range(3):
        signer = None if number == bad else keys
        newest = publish(backend, signer, text=f"\n{number}\n")
    with pytest.raises(UntrustedSignatureError):
        carry(backend, runtime, newest)
    assert runtime.bundles().haves == ()


@needs_ssh
def test_a_signature_of_anybody_else_is_refused(house, keys, signing_policy, backend):
    runtime = house.runtime(policy=signing_policy)
    with pytest.raises(UntrustedSignatureError, match="no allowed signer"):
        carry(backend, runtime, publish(backend, keys, key="eve"))


@needs_ssh
def test_material_cannot_say_that_it_need_not_be_signed(house, keys, signing_policy, backend):
    """The same bundle, once signed and once stripped: the policy is the same for both."""
    runtime = house.runtime(policy=signing_policy)
    with pytest.raises(UntrustedSignatureError, match="is not signed"):
        carry(backend, runtime, publish(backend))
    lax = house.runtime("eu-2", house.policy(name="lax.toml"))
    assert carry(backend, lax, backend.publishing.store(TEAM).find_head()).is_new


@pytest.mark.parametrize("is_pushed", [True, False])
@needs_ssh
def test_a_signer_added_to_the_file_is_a_new_chance_for_what_was_refused(
    house, keys, signing_policy, backend, is_pushed
):
    """Without a word to the policy, and without sending it again in vain before."""
    runtime = house.runtime(policy=signing_policy)
    url, push_token = house.serve_runtime(runtime)
    push = {"endpoint": url, "push_token": push_token} if is_pushed else {}
    token = house.register(backend, "eu-1", **push)
    client = BackendClient(house.client(house.serve_backend(backend), token))
    follower = Follower(runtime, client, [TEAM], interval_seconds=3600)
    revision = publish(backend, keys, key="eve")

    def bring() -> str:
        if is_pushed:
            return backend.sync(TEAM).outcomes[0].outcome
        follower.poll_all()
        return runtime.bundle_status(revision.digest).state

    assert bring() == "rejected"
    before = runtime.held.status(revision.digest, TEAM)
    assert bring() == "rejected"
    assert runtime.held.status(revision.digest, TEAM) == before

    keys.allow(f"{DEV} {{eve}}")

    assert bring() == ("synced" if is_pushed else "accepted")
    assert runtime.bundle_status(revision.digest).is_current
    follower.poll_all()
    assert backend.fleet.view(RuntimeId("eu-1")).bundles[0].state == "accepted"


# --- what is held ---


@needs_ssh
@pytest.mark.parametrize("is_reopened", [True, False])
def test_a_signature_stripped_on_disk_is_refused_at_every_use(
    house, keys, signing_policy, backend, is_reopened
):
    runtime = house.runtime(policy=signing_policy)
    revision = publish(backend, keys)
    carry(backend, runtime, revision)
    worker = runtime.create_worker(worker_request(revision.digest)).worker
    if is_reopened:
        runtime.close()
    strip(house.root / "eu-1", revision)
    if is_reopened:
        # It starts, and says what it does not believe.
        runtime = house.runtime(policy=signing_policy)

    assert "is not signed" in runtime.info().following[0].distrust
    for use in (
        lambda: runtime.resolve(worker_request(revision.digest)),
        lambda: runtime.create_worker(worker_request(revision.digest, worker_id="worker-2")),
    ):
        with pytest.raises(UntrustedSignatureError, match="is not signed"):
            use()
    with pytest.raises(BundleError) as caught:
        runtime.plan_launch(worker.worker_id)
    assert caught.value.code in {"untrusted_signature", "bundle_missing"}
    # Repeating a request is no new use; sending the signed one again is another history now.
    assert runtime.create_worker(worker_request(revision.digest)).is_new is False
    with pytest.raises(NotFastForwardError):
        carry(backend, runtime, revision)


@needs_ssh
def test_a_held_unsigned_bundle_is_refused_as_soon_as_the_policy_wants_signatures(
    house, keys, signing_policy, backend
):
    wanted = signing_policy.read_text()
    policy = house.policy()
    runtime = house.runtime(policy=policy)
    revision = publish(backend)
    carry(backend, runtime, revision)
    worker = runtime.create_worker(worker_request(revision.digest)).worker

    policy.write_text(wanted)
    runtime.policy.reload()

    for use in (
        lambda: runtime.resolve(worker_request(revision.digest)),
        lambda: runtime.plan_launch(worker.worker_id),
        lambda: carry(backend, runtime, revision),
    ):
        with pytest.raises(UntrustedSignatureError, match="is not signed"):
            use()
    # What comes next and is signed is taken; the unsigned one below it is not held against it.
    signed = publish(backend, keys, text="\nsigned\n")
    assert carry(backend, runtime, signed).is_new
    assert runtime.resolve(worker_request(signed.digest))
    assert runtime.info().following[0].distrust is None


@needs_ssh
def test_a_key_revoked_later_ends_the_use_of_what_it_signed(house, keys, signing_policy, backend):
    runtime = house.runtime(policy=signing_policy)
    revision = publish(backend, keys)
    carry(backend, runtime, revision)
    runtime.resolve(worker_request(revision.digest))

    (keys.directory / "revoked").write_text(keys.public("dev") + "\n")

    with pytest.raises(UntrustedSignatureError, match="not good"):
        runtime.resolve(worker_request(revision.digest))
    assert "not good" in runtime.info().following[0].distrust


@needs_ssh
def test_principals_of_the_workspace_hold_for_what_is_held_too(
    house, keys, signing_policy, backend
):
    runtime = house.runtime(policy=signing_policy)
    revision = publish(backend, keys)
    carry(backend, runtime, revision)
    text = signing_policy.read_text()
    signing_policy.write_text(text + '\n[trust.principals]\nteam = ["boss@example.com"]\n')
    runtime.policy.reload()
    with pytest.raises(UntrustedSignatureError, match="may not sign"):
        runtime.resolve(worker_request(revision.digest))


# --- how far behind ---


@pytest.mark.parametrize(
    ("max_behind", "usable"), [("", 4), ("max_behind = 0", 1), ("max_behind = 2", 3)]
)
def test_the_host_says_how_old_a_bundle_new_workers_may_have(house, backend, max_behind, usable):
    policy = house.policy(POLICY.replace("[bundles]", f"[bundles]\n{max_behind}"))
    runtime = house.runtime(policy=policy)
    digests = []
    for number in range(4):
        revision = publish(backend, text=f"\n{number}\n")
        carry(backend, runtime, revision)
        digests.append(revision.digest)
    for digest in digests[-usable:]:
        assert runtime.resolve(worker_request(digest))
    for digest in digests[:-usable]:
        with pytest.raises(RollbackRefusedError) as caught:
            runtime.resolve(worker_request(digest))
        assert caught.value.facts["rule"] == "bundles.max_behind"


def test_workers_that_are_there_go_on_when_their_bundle_is_old(house, backend):
    policy = house.policy(POLICY.replace("[bundles]", "[bundles]\nmax_behind = 0"))
    runtime = house.runtime(policy=policy)
    old = publish(backend)
    carry(backend, runtime, old)
    first = runtime.create_worker(worker_request(old.digest))
    carry(backend, runtime, publish(backend, text="\nnew\n"))

    again = runtime.create_worker(worker_request(old.digest))
    assert (again.is_new, again.worker) == (False, first.worker)
    assert runtime.plan_launch(first.worker.worker_id)
    with pytest.raises(RollbackRefusedError):
        runtime.create_worker(worker_request(old.digest, worker_id="worker-2"))


# --- last known good, and clocks ---


def test_a_runtime_starts_and_resolves_with_the_backend_away_and_says_so(house, backend):
    runtime = house.runtime()
    revision = publish(backend)
    carry(backend, runtime, revision)
    runtime.close()

    runtime = house.runtime()
    away = BackendClient(house.client("http://127.0.0.1:1", None))
    follower = Follower(runtime, away, [TEAM], interval_seconds=60)
    follower.poll_all()

    assert runtime.create_worker(worker_request(revision.digest)).is_new
    status = runtime.info().following[0]
    assert status.last_error.startswith(TransportError.code)
    assert status.last_contact == START


@pytest.mark.parametrize("years", [-10, 10])
def test_a_clock_that_jumps_changes_nothing_about_the_order(house, backend, years):
    runtime = house.runtime()
    first = publish(backend)
    carry(backend, runtime, first)
    house.clock.now = START.replace(year=START.year + years)
    second = publish(backend, text="\nsecond\n")
    assert second.created_at.year == START.year + years
    assert carry(backend, runtime, second).is_new
    house.clock.now = START
    third = publish(backend, text="\nthird\n")
    assert carry(backend, runtime, third).is_new
    # An older one under whatever time stays older.
    house.clock.now = START.replace(year=START.year - years)
    old = backend.bundle_file(second.digest, workspace=TEAM).path.read_bytes()
    assert runtime.put_bundle(TEAM, second.digest, [old]).is_new is False
    assert runtime.held.status(third.digest, TEAM).is_current
    assert [one.number for one in (first, second, third)] == [1, 2, 3]


@needs_ssh
def test_a_clock_that_jumps_changes_nothing_about_signatures(house, keys, signing_policy, backend):
    """Keys are valid at the committer's time; what the Runtime's clock says is not asked."""
    keys.allow(f'{DEV} valid-after="20260101",valid-before="20270101" {{dev}}')
    runtime = house.runtime(policy=signing_policy)
    revision = publish(backend, keys)
    for years in (0, 10, -10):
        house.clock.now = START.replace(year=START.year + years)
        carry(backend, runtime, revision)
        assert runtime.resolve(worker_request(revision.digest))
    late = publish(backend, keys, text="\nlate\n", when=START.replace(year=2028))
    with pytest.raises(UntrustedSignatureError):
        carry(backend, runtime, late)
