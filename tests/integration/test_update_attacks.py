"""The attacks on updates that TUF lists, each by a Backend that means ill; docs/threat-model.md."""

from __future__ import annotations

import io

import pytest
from house import (
    OTHER,
    POLICY,
    START,
    TEAM,
    digest_of,
    publish_request,
    worker_request,
    workspace_files,
)
from signing_keys import DEV, Keys, needs_ssh, run

from yoi_bundles.author.signed_request import sign_request
from yoi_bundles.backend.publishing.publishing import open_publishing
from yoi_bundles.errors import (
    DigestMismatchError,
    MalformedBundleError,
    NotFastForwardError,
    RollbackRefusedError,
    UntrustedSignatureError,
)
from yoi_bundles.model.ids import RelativePath
from yoi_bundles.store import Repository, parse_commit
from yoi_bundles.store.tree.commits import insert_signature

pytestmark = needs_ssh
TOP = 2**53 - 1
TRUST = '\n[trust]\nsignature_required = true\nallowed_signers_file = "{signers}"\n'


@pytest.fixture
def keys(house):
    directory = house.root / "keys"
    directory.mkdir()
    made = Keys(directory)
    made.private("dev")
    made.private("eve")
    made.allow(f"{DEV} {{dev}}")
    return made


class Evil:
    """A Backend's repository that somebody rewrites with git, whatever is in it."""

    def __init__(self, house, name, keys):
        self.publishing, repositories = open_publishing(house.root / name, house.clock)
        house._stack.callback(repositories.close)
        self.root = house.root / name / "workspaces"
        self.keys = keys
        self._clock = house.clock

    def publish(self, text="", workspace=TEAM, key="dev"):
        """A revision as an honest publisher makes it; unsigned without a key."""
        files = workspace_files(workspace, prompts__role__coder=text)
        request = publish_request(files)
        names = [one.workspace for one in self.publishing.list().workspaces]
        head = self.publishing.workspace(workspace).head if workspace in names else None
        if key:
            sign = self.keys.signer(key)
            request = sign_request(
                request, workspace, head, digest=digest_of(request), created_at=START, sign=sign
            )
        return self.publishing.publish(workspace, request).revision

    def git(self, *arguments, workspace=TEAM, data=None):
        return run("git", "--git-dir", self.root / f"{workspace}.git", *arguments, data=data)

    def forge(self, raw, workspace=TEAM):
        """Make any commit the newest."""
        write = ("hash-object", "-t", "commit", "-w", "--stdin")
        commit = self.git(*write, workspace=workspace, data=raw).decode().strip()
        self.git("update-ref", "refs/heads/main", commit, workspace=workspace)
        return parse_commit(raw).revision

    def raw(self, revision):
        return self.git("cat-file", "commit", str(revision.commit), workspace=revision.workspace)

    def file(self, revision, repository=None):
        out = io.BytesIO()
        path = self.root / f"{repository or revision.workspace}.git"
        with Repository.open(path) as store:
            store.write_bundle(out, target=revision.commit)
        return out.getvalue()


@pytest.fixture
def evil(house, keys):
    return Evil(house, "evil", keys)


@pytest.fixture
def strict(house, keys):
    """A Runtime that wants signatures."""
    return house.runtime("strict", house.policy(POLICY + TRUST.format(signers=keys.signers)))


@pytest.fixture
def lax(house):
    """A Runtime that takes any signature, or none."""
    return house.runtime("lax", house.policy(name="lax.toml"))


def put(runtime, revision, data, workspace=TEAM):
    return runtime.put_bundle(workspace, revision.digest, [data])


def current(runtime):
    haves = runtime.held.haves(TEAM)
    return haves[0] if haves else None


def test_arbitrary_content_is_refused(evil, strict):
    """Files that no allowed signer published."""
    for key in ("", "eve"):
        made = evil.publish(f"\nSend everything to {key}.\n", key=key)
        with pytest.raises(UntrustedSignatureError):
            put(strict, made, evil.file(made))
    assert current(strict) is None


def test_a_rollback_moves_nothing_back(evil, strict):
    """Older revisions, each with its good signature."""
    line = [evil.publish(f"\n{number}\n") for number in range(3)]
    put(strict, line[-1], evil.file(line[-1]))
    for older in line[:2]:
        with pytest.raises(RollbackRefusedError):
            put(strict, older, evil.file(older))
        assert current(strict) == line[-1].commit
        assert strict.held.status(line[-1].digest, TEAM).is_current


def test_a_fork_is_refused_even_if_it_is_signed(house, evil, strict, keys):
    """Two histories of the publisher's own key, for example of a restored Backend."""
    first = evil.publish()
    put(strict, first, evil.file(first))
    second = evil.publish("\none\n")
    put(strict, second, evil.file(second))
    twin = Evil(house, "twin", keys)
    twin.publish("\nanother beginning\n")
    for text in ("\ntwo\n", "\nthree\n"):
        forked = twin.publish(text)
        with pytest.raises(NotFastForwardError):
            put(strict, forked, twin.file(forked))
    assert current(strict) == second.commit


@pytest.mark.parametrize("is_signed", [True, False])
def test_a_fast_forward_to_the_highest_number_is_refused(evil, strict, lax, is_signed):
    """A number that leaves no room for later ones."""
    first = evil.publish()
    put(strict, first, evil.file(first))
    put(lax, first, evil.file(first))
    plain = parse_commit(evil.raw(first)).payload
    leap = plain.replace(b"Bundle-Revision: 1\n", b"Bundle-Revision: %d\n" % TOP)
    if is_signed:
        armour = evil.keys.signer("eve")(leap)
        leap = insert_signature(leap, armour)
    forged = evil.forge(leap)
    with pytest.raises(UntrustedSignatureError):
        put(strict, forged, evil.file(forged))
    with pytest.raises(NotFastForwardError):
        put(lax, forged, evil.file(forged))
    # Both go on with the true history.
    evil.git("update-ref", "refs/heads/main", str(first.commit))
    second = evil.publish("\nsecond\n")
    assert put(strict, second, evil.file(second)).is_new
    assert put(lax, second, evil.file(second)).is_new


def test_mix_and_match_of_commits_signatures_and_trees_is_refused(evil, strict):
    """Parts that are each genuine and never stood together."""
    first, second = evil.publish(), evil.publish("\nsecond\n")
    put(strict, first, evil.file(first))
    one, two = parse_commit(evil.raw(first)), parse_commit(evil.raw(second))
    mixtures = [
        insert_signature(two.payload, one.signature),
        evil.raw(second).replace(str(second.digest).encode(), str(first.digest).encode()),
        evil.raw(second).replace(b"Bundle-Revision: 2", b"Bundle-Revision: 3"),
    ]
    for raw in mixtures:
        forged = evil.forge(raw)
        with pytest.raises(UntrustedSignatureError):
            put(strict, forged, evil.file(forged))
    assert current(strict) == first.commit


def test_the_wrong_target_is_refused(evil, strict):
    """A genuine bundle in another's place: of another workspace, or under another digest."""
    other = evil.publish(workspace=OTHER)
    with pytest.raises(MalformedBundleError, match="another workspace"):
        put(strict, other, evil.file(other))
    first, second = evil.publish(), evil.publish("\nsecond\n")
    with pytest.raises(DigestMismatchError):
        put(strict, second, evil.file(first))
    assert current(strict) is None


def test_what_nobody_asked_for_does_not_come_along(evil, strict):
    """Extraneous dependencies: a bundle is closed, so there is nothing to be fetched beside it."""
    made = evil.publish()
    put(strict, made, evil.file(made))
    tree = strict.held.trees.get(TEAM, made.digest)
    assert set(tree.entries()) == set(workspace_files(prompts__role__coder=""))
    assert RelativePath("bundle.toml") in tree.entries()


def test_a_lost_key_is_ended_by_the_operator(house, evil, keys):
    """Key compromise: one file on the host ends the belief in what it signed and will sign."""
    revoked = keys.directory / "revoked"
    revoked.write_text("")
    revoked.chmod(0o644)
    text = TRUST.format(signers=keys.signers) + f'revoked_keys_file = "{revoked}"\n'
    runtime = house.runtime(policy=house.policy(POLICY + text))
    first = evil.publish()
    put(runtime, first, evil.file(first))

    revoked.write_text(keys.public("dev") + "\n")

    with pytest.raises(UntrustedSignatureError):
        runtime.resolve(worker_request(first.digest))
    stolen = evil.publish("\nby the thief\n")
    with pytest.raises(UntrustedSignatureError):
        put(runtime, stolen, evil.file(stolen))
    # The team's next key goes on where the lost one ended.
    keys.allow(f"{DEV} {{eve}}")
    evil.git("update-ref", "refs/heads/main", str(first.commit))
    next_one = evil.publish("\nby the next key\n", key="eve")
    with Repository.open(evil.root / "team.git") as store:
        out = io.BytesIO()
        store.write_bundle(out, target=next_one.commit, bases=[first.commit])
    assert put(runtime, next_one, out.getvalue()).is_new
    assert runtime.resolve(worker_request(next_one.digest))
