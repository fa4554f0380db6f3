"""The contract of `BundleStore`: one suite for every store.

A store joins by adding a factory to `FACTORIES`; it gets a directory and a workspace.
"""

import io
import multiprocessing
import threading

import pytest
from store_factories import (
    EPOCH,
    WORKSPACE,
    bundle_bytes,
    make_draft,
    make_files,
    receive,
)

from yoi_bundles.errors import (
    BundleMissingError,
    ForbiddenMaterialError,
    ForbiddenPathError,
    InvalidInputError,
    MalformedBundleError,
    MissingObjectError,
    NotFastForwardError,
    RevisionConflictError,
    TooLargeError,
)
from yoi_bundles.model.ids import CommitId, Digest, RelativePath
from yoi_bundles.model.limits import Limits
from yoi_bundles.store import Repository, compute_digest, parse_commit

FACTORIES = {"repository": lambda path: Repository.create(path, WORKSPACE)}
NOWHERE = Digest("00" * 32)
NO_COMMIT = CommitId("00" * 32)


@pytest.fixture(params=FACTORIES.values(), ids=FACTORIES.keys())
def make_store(request, tmp_path):
    made = []

    def make():
        made.append(request.param(tmp_path / f"store-{len(made)}"))
        return made[-1]

    yield make
    for store in made:
        store.close()


@pytest.fixture
def store(make_store):
    return make_store()


def publish(store, seconds=EPOCH, message="", **changes):
    return store.publish(make_files(**changes), make_draft(message, seconds)).revision


@pytest.fixture
def line(store):
    """Three revisions, oldest first."""
    return [publish(store, EPOCH + i, note=f"note {i}\n") for i in range(3)]


# --- publishing what changed ---------------------------------------------------------------------


def test_a_base_and_what_differs_make_the_tree_of_all_files(store, line):
    base, files = line[-1].digest, make_files(note="note 2\n")
    changed = {RelativePath("prompts/new.md"): b"New.\n", RelativePath("bundle.toml"): b"x = 1\n"}
    gone = next(path for path in files if str(path) != "bundle.toml")
    seen = []

    made = store.publish(
        changed, make_draft(), base=base, removed=[gone],
        check_content=lambda tree: seen.append((tree.changes_from(base), tree.entries())),
    )  # fmt: skip

    wanted = {path: data for path, data in (files | changed).items() if path != gone}
    assert made.revision.digest == compute_digest(wanted)
    [(changes, entries)] = seen
    assert {one.path for one in changes} == {*changed, gone}
    assert entries == store.tree(made.revision.digest).entries()
    assert store.verify().problems == ()


def test_an_older_base_is_as_good_as_the_head(store, line):
    changed = {RelativePath("bundle.toml"): b"x = 2\n"}

    made = store.publish(changed, make_draft(), base=line[0].digest).revision

    assert made.parent == line[-1].commit
    assert made.digest == compute_digest(make_files(note="note 0\n") | changed)


def test_no_difference_is_the_current_revision(store, line):
    made = store.publish({}, make_draft(), base=line[-1].digest)

    assert (made.revision, made.is_new) == (line[-1], False)


def test_everything_may_go(store, line):
    digest = line[-1].digest
    gone = list(store.tree(digest).entries())

    made = store.publish({}, make_draft(), base=digest, removed=gone).revision

    assert made.digest == compute_digest({})


def test_a_base_that_is_not_held_is_missing(store, line):
    with pytest.raises(BundleMissingError):
        store.publish({RelativePath("a"): b""}, make_draft(), base=NOWHERE)

    assert store.find_head() == line[-1]


def test_the_bounds_of_a_whole_tree_hold_for_what_differs(tmp_path):
    files = make_files()
    limits = Limits(files=len(files), tree_bytes=sum(map(len, files.values())) + 10)
    with Repository.create(tmp_path / "small.git", WORKSPACE, limits) as small:
        base = small.publish(files, make_draft()).revision.digest
        for changed, name in (
            ({RelativePath("prompts/more.md"): b""}, "files"),
            ({RelativePath("bundle.toml"): files[RelativePath("bundle.toml")] + b"x" * 11},
             "tree_bytes"),
        ):  # fmt: skip
            with pytest.raises(TooLargeError) as caught:
                small.publish(changed, make_draft(), base=base)
            assert caught.value.facts["limit_name"] == name
        assert small.find_head().digest == base


# --- empty ---------------------------------------------------------------------------------------


def test_an_empty_store_says_so(store):
    assert store.workspace == WORKSPACE
    assert store.find_head() is None
    assert list(store.revisions()) == []
    assert list(store.held()) == []
    assert store.haves() == ()
    assert store.find_revision(NOWHERE) is None
    assert store.find_commit(NO_COMMIT) is None
    assert store.verify().problems == ()


@pytest.mark.parametrize(
    "ask",
    [
        lambda store: store.get_revision(NOWHERE),
        lambda store: store.tree(NOWHERE),
        lambda store: store.changes(None, NOWHERE),
        lambda store: store.verify(NOWHERE),
        lambda store: store.write_bundle(io.BytesIO(), target=NO_COMMIT),
    ],
)
def test_what_is_not_held_is_missing(store, ask):
    with pytest.raises(BundleMissingError) as caught:
        ask(store)
    assert caught.value.code == "bundle_missing"


# --- publish -------------------------------------------------------------------------------------


def test_a_published_revision_can_be_found_every_way(store):
    result = store.publish(make_files(), make_draft("First\n\nWhy."))
    revision = result.revision
    assert result.is_new
    assert revision.digest == compute_digest(make_files())
    assert (revision.number, revision.parent, revision.workspace) == (1, None, WORKSPACE)
    assert revision.message == "First\n\nWhy."
    assert store.find_head() == revision
    assert store.find_revision(revision.digest) == revision
    assert store.get_revision(revision.digest) == revision
    assert store.get_revision(revision.digest, revision.commit) == revision
    assert store.find_commit(revision.commit) == revision
    assert list(store.held()) == [revision]
    assert store.haves() == (revision.commit,)


def test_what_was_published_can_be_read(store):
    reader = store.tree(publish(store).digest)
    assert {path: reader.read(path) for path in reader.entries()} == make_files()
    assert list(reader.entries()) == sorted(make_files())
    assert reader.digest == compute_digest(make_files())
    with pytest.raises(MissingObjectError):
        reader.read(RelativePath("no/such/file"))


def test_an_empty_bundle_can_be_published(store):
    revision = store.publish({}, make_draft()).revision
    assert store.tree(revision.digest).entries() == {}


def test_history_is_newest_first_and_linear(store, line):
    assert list(store.revisions()) == line[::-1]
    assert [r.number for r in line] == [1, 2, 3]
    assert [r.parent for r in line] == [None, line[0].commit, line[1].commit]
    assert store.haves() == tuple(r.commit for r in line[::-1])
    assert store.haves(2) == (line[2].commit, line[1].commit)
    assert {r.commit for r in store.held()} == {r.commit for r in line}


def test_publishing_what_is_current_makes_nothing(store):
    first = publish(store)
    again = store.publish(make_files(), make_draft(seconds=EPOCH + 5), expected=NO_COMMIT)
    assert (again.revision, again.is_new) == (first, False)


def test_publishing_an_older_tree_makes_a_new_revision_that_the_digest_then_names(store):
    first = publish(store)
    publish(store, EPOCH + 1, note="x\n")
    third = publish(store, EPOCH + 2)
    assert third.digest == first.digest
    assert third.number == 3
    assert store.find_revision(first.digest) == third
    assert store.get_revision(first.digest, first.commit) == first
    with pytest.raises(BundleMissingError):
        store.get_revision(first.digest, NO_COMMIT)


def test_a_commit_of_another_bundle_is_missing(store, line):
    with pytest.raises(BundleMissingError):
        store.get_revision(line[0].digest, line[1].commit)


def test_the_same_drafts_make_the_same_commits_everywhere(make_store):
    assert publish(make_store()) == publish(make_store())


ARMOUR = b"-----BEGIN SSH SIGNATURE-----\nAAAA\nBBBB=\n-----END SSH SIGNATURE-----"


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_a_signed_revision_keeps_its_payload_and_signature(store, make_store, end):
    signed = []

    def sign(payload):
        signed.append(payload)
        return ARMOUR + end

    revision = store.publish(make_files(), make_draft(), sign=sign).revision
    assert revision.is_signed
    held = store.read_commit(revision)
    assert held.revision == revision
    parsed = parse_commit(held.raw)
    assert (parsed.payload, parsed.signature) == (signed[0], ARMOUR)
    # Without the signature it is the commit that would have been made unsigned.
    other = make_store()
    plain = publish(other)
    assert other.read_commit(plain).raw == signed[0]
    # What is current needs no signature, and a receiver has it with its signature.
    assert store.publish(make_files(), make_draft(), sign=sign).is_new is False
    assert len(signed) == 1
    peer = make_store()
    assert receive(peer, bundle_bytes(store, revision.commit)).revision.is_signed
    assert peer.read_commit(revision).raw == held.raw


def test_a_signature_is_not_asked_for_on_a_head_that_is_not_the_expected_one(store, line):
    def sign(payload):
        raise AssertionError("nothing is to be signed")

    with pytest.raises(RevisionConflictError):
        store.publish(make_files(), make_draft(), expected=line[0].commit, sign=sign)


@pytest.mark.parametrize(
    "signature",
    [b"", b"hello", ARMOUR + b"\n\n", ARMOUR + b"\nmore x", b"\n" + ARMOUR, ARMOUR.lower()],
)
def test_what_is_no_armoured_signature_makes_no_revision(store, line, signature):
    with pytest.raises(MalformedBundleError):
        store.publish(make_files(bundle="x"), make_draft(), sign=lambda payload: signature)
    assert store.find_head() == line[-1]


def test_a_signer_that_fails_leaves_nothing(store):
    def sign(payload):
        raise InvalidInputError("no key")

    with pytest.raises(InvalidInputError, match="no key"):
        store.publish(make_files(), make_draft(), sign=sign)
    assert store.find_head() is None


@pytest.mark.parametrize("expected", [None, NO_COMMIT])
def test_another_head_than_expected_is_a_conflict(store, line, expected):
    with pytest.raises(RevisionConflictError) as caught:
        store.publish(make_files(), make_draft(), expected=expected)
    assert caught.value.code == "revision_conflict"
    assert caught.value.facts["actual"] == str(line[-1].commit)
    assert store.find_head() == line[-1]


def test_the_expected_head_is_accepted(store):
    first = store.publish(make_files(), make_draft(), expected=None).revision
    second = store.publish(make_files(a="b"), make_draft(), expected=first.commit)
    assert second.is_new


def test_an_expected_head_in_an_empty_store_is_a_conflict(store):
    with pytest.raises(RevisionConflictError):
        store.publish(make_files(), make_draft(), expected=NO_COMMIT)


def test_content_is_checked_before_anything_is_written(store):
    seen = {}

    def check(tree):
        seen.update({path: tree.read(path) for path in tree.entries()})
        raise ForbiddenMaterialError("no")

    with pytest.raises(ForbiddenMaterialError):
        store.publish(make_files(), make_draft(), check_content=check)
    assert seen == make_files()
    assert store.find_head() is None


@pytest.mark.parametrize(
    "path", [".git/config", "a/../b", "a/.GIT/x", "con.txt", "x.", "e\u0301", "a\u202e"]
)
def test_unsafe_paths_cannot_be_published(store, path):
    with pytest.raises(ForbiddenPathError):
        store.publish({RelativePath(path): b"x"}, make_draft())
    assert store.find_head() is None


def test_paths_that_collide_cannot_be_published(store):
    for pair in (("a", "A"), ("a", "a/b"), ("a/b", "a")):
        with pytest.raises(ForbiddenPathError):
            store.publish({RelativePath(p): b"x" for p in pair}, make_draft())


def test_a_draft_that_no_commit_can_hold_is_refused(store):
    with pytest.raises(InvalidInputError):
        store.publish(make_files(), make_draft("S\n\nBundle-Revision: 9"))
    assert store.find_head() is None


# --- changes -------------------------------------------------------------------------------------


def test_changes_name_every_file_that_differs(store):
    old = publish(store)
    new = publish(store, EPOCH + 1, prompts__role__coder="new\n", prompts__role__tester=None, x="1")
    changes = {
        str(c.path): (c.kind, c.old is None, c.new is None)
        for c in store.changes(old.digest, new.digest)
    }
    assert changes == {
        "prompts/role/coder.md": ("changed", False, False),
        "prompts/role/tester.md": ("removed", False, True),
        "x.md": ("added", True, False),
    }
    assert store.changes(old.digest, old.digest) == ()
    assert [c.path for c in store.changes(None, old.digest)] == sorted(make_files())


# --- bundle files --------------------------------------------------------------------------------


def test_a_full_bundle_file_carries_all_of_history(store, line, make_store):
    peer = make_store()
    raw = bundle_bytes(store, line[-1].commit)
    result = receive(peer, raw, expected=line[-1].digest)
    assert result.is_new
    assert result.revision == line[-1]
    assert result.received_bytes == len(raw)
    assert result.objects > 10
    assert list(peer.revisions()) == line[::-1]
    assert list(peer.held()) == [line[-1]]
    reader = peer.tree(line[-1].digest)
    assert {p: reader.read(p) for p in reader.entries()} == make_files(note="note 2\n")
    assert peer.verify().problems == ()


def test_an_increment_carries_only_what_changed(store, line, make_store):
    peer = make_store()
    receive(peer, bundle_bytes(store, line[0].commit))
    out = io.BytesIO()
    info = store.write_bundle(out, target=line[2].commit, bases=[line[0].commit, NO_COMMIT])
    assert (info.target, info.digest, info.base) == (line[2].commit, line[2].digest, line[0].commit)
    assert info.size_bytes == len(out.getvalue())
    assert info.objects == 6
    result = receive(peer, out.getvalue(), expected=line[2].digest)
    assert result.objects == 6
    assert list(peer.revisions()) == line[::-1]
    assert peer.verify().problems == ()


def test_the_newest_usable_base_is_taken(store, line):
    out = io.BytesIO()
    bases = [line[0].commit, line[1].commit, NO_COMMIT]
    assert store.write_bundle(out, target=line[2].commit, bases=bases).base == line[1].commit
    assert store.write_bundle(out, target=line[1].commit, bases=[line[2].commit]).base is None


def test_there_is_nothing_to_send_to_one_who_has_it(store, line):
    with pytest.raises(InvalidInputError):
        store.write_bundle(io.BytesIO(), target=line[1].commit, bases=[line[1].commit])


def test_the_same_bundle_file_twice_is_held_the_second_time(store, line, make_store):
    peer = make_store()
    raw = bundle_bytes(store, line[-1].commit)
    assert receive(peer, raw).is_new

    def never(_):
        raise NotFastForwardError("not asked")

    again = receive(peer, raw, check_advance=never)
    assert (again.is_new, again.revision) == (False, line[-1])


def test_a_full_bundle_file_also_moves_one_who_has_a_part(store, line, make_store):
    peer = make_store()
    receive(peer, bundle_bytes(store, line[0].commit))
    seen = []
    receive(peer, bundle_bytes(store, line[2].commit), check_advance=seen.append)
    (advance,) = seen
    assert advance.current == line[0]
    assert [c.revision for c in advance.incoming] == line[1:]
    assert advance.descends
    assert advance.tip == line[2]


def test_an_older_revision_is_put_to_the_advance_check(store, line, make_store):
    peer = make_store()
    receive(peer, bundle_bytes(store, line[2].commit))
    seen = []

    def refuse(advance):
        seen.append(advance)
        raise NotFastForwardError("older")

    raw = bundle_bytes(store, line[1].commit)
    with pytest.raises(NotFastForwardError):
        receive(peer, raw, check_advance=refuse)
    assert not seen[0].descends
    assert seen[0].current == line[2]
    assert [c.revision for c in seen[0].incoming] == [line[1]]
    assert receive(peer, raw).is_new
    assert peer.find_head() == line[2]
    assert {r.commit for r in peer.held()} == {line[1].commit, line[2].commit}


def test_a_line_that_forked_does_not_descend(make_store):
    store, peer = make_store(), make_store()
    ours, theirs = publish(peer, note="ours\n"), publish(store, note="theirs\n")
    seen = []

    def refuse(advance):
        seen.append(advance)
        raise NotFastForwardError("fork")

    with pytest.raises(NotFastForwardError):
        receive(peer, bundle_bytes(store, theirs.commit), check_advance=refuse)
    assert not seen[0].descends
    assert peer.find_head() == ours


def test_advances_of_an_increment_descend(store, line, make_store):
    peer = make_store()
    seen = []
    receive(peer, bundle_bytes(store, line[0].commit), check_advance=seen.append)
    raw = bundle_bytes(store, line[1].commit, [line[0].commit])
    receive(peer, raw, check_advance=seen.append)
    assert [(a.current, a.descends) for a in seen] == [(None, True), (line[0], True)]
    assert seen[1].incoming[0].raw.startswith(b"tree " + line[1].digest.hex_ascii)


def test_files_that_moved_came_back_or_stayed_are_all_found(make_store):
    """An increment may name what the base holds under another path or only in its history."""
    store, peer = make_store(), make_store()
    states = [
        {"a__x": "one\n", "b__x": "two\n"},
        {"a__x": "changed\n", "b__x": "two\n"},
        {"c__a__x": "one\n", "c__b__x": "two\n"},
        {"a__x": "one\n", "b__x": "two\n", "d__x": "two\n"},
    ]
    before = []
    for i, state in enumerate(states):
        revision = publish(store, EPOCH + i, **state)
        receive(peer, bundle_bytes(store, revision.commit, before), expected=revision.digest)
        before = [revision.commit]
        reader = peer.tree(revision.digest)
        assert {p: reader.read(p) for p in reader.entries()} == make_files(**state)
    assert peer.verify().problems == ()


def test_the_content_check_sees_what_came_and_what_was_held(store, line, make_store):
    peer = make_store()
    receive(peer, bundle_bytes(store, line[0].commit))
    seen = {}

    def check(tree):
        seen.update({path: tree.read(path) for path in tree.entries()})

    raw = bundle_bytes(store, line[1].commit, [line[0].commit])
    receive(peer, raw, check_content=check)
    assert seen == make_files(note="note 1\n")


def test_an_upload_is_gone_once_used(store):
    with store.open_upload() as upload:
        upload.write(b"x")
        upload.discard()
        upload.discard()
        with pytest.raises(InvalidInputError):
            upload.write(b"x")
        with pytest.raises(InvalidInputError):
            store.accept(
                upload, expected=None, check_advance=lambda _: None, check_content=lambda _: None
            )


def test_an_upload_is_bounded(store):
    with store.open_upload(Limits(bundle_bytes=5)) as upload:
        upload.write(b"12345")
        with pytest.raises(TooLargeError) as caught:
            upload.write(b"6")
    assert caught.value.facts["limit_name"] == "bundle_bytes"


# --- several writers -----------------------------------------------------------------------------


def test_of_many_publishing_threads_each_commit_has_one_winner(store):
    publish(store)
    base = store.find_head().commit
    results = []
    barrier = threading.Barrier(6)

    def work(i):
        barrier.wait()
        try:
            files = make_files(note=f"{i}\n")
            results.append(store.publish(files, make_draft(), expected=base).revision)
        except RevisionConflictError as error:
            results.append(error)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winners = [r for r in results if not isinstance(r, RevisionConflictError)]
    assert len(results) == 6
    assert winners == [store.find_head()]
    assert store.find_head().number == 2
    assert store.verify().problems == ()


def publish_elsewhere(path, barrier, queue, number):
    with Repository.open(path) as repository:
        barrier.wait()
        try:
            files = make_files(note=f"{number}\n")
            queue.put(str(repository.publish(files, make_draft(), expected=None).revision.commit))
        except RevisionConflictError as error:
            queue.put(error.code)


def test_of_many_publishing_processes_one_wins(store):
    context = multiprocessing.get_context("fork")
    barrier, queue = context.Barrier(4), context.Queue()
    workers = [
        context.Process(target=publish_elsewhere, args=(store.path, barrier, queue, i))
        for i in range(4)
    ]
    for worker in workers:
        worker.start()
    answers = [queue.get(timeout=30) for _ in workers]
    for worker in workers:
        worker.join()
    queue.close()
    queue.join_thread()
    assert answers.count("revision_conflict") == 3
    assert str(store.find_head().commit) in answers
    assert store.verify().problems == ()


def test_of_many_receiving_threads_one_makes_it_new(store, line, make_store):
    peer = make_store()
    raw = bundle_bytes(store, line[-1].commit)
    results = []
    threads = [
        threading.Thread(target=lambda: results.append(receive(peer, raw).is_new)) for _ in range(5)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [False] * 4 + [True]


def test_readers_are_not_disturbed_by_writers(store):
    first = publish(store)
    is_done = threading.Event()
    wrong = []

    def read():
        while not is_done.is_set():
            reader = store.tree(first.digest)
            found = {path: reader.read(path) for path in reader.entries()}
            head = store.find_head()
            if found != make_files() or store.find_revision(head.digest) is None:
                wrong.append(found)

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for i in range(15):
        publish(store, EPOCH + i, note=f"{i}\n")
    is_done.set()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_step_is_judged_again_if_another_writer_was_faster(store, line, make_store):
    peer = make_store()
    seen = []

    def check_advance(advance):
        seen.append(advance.current)
        if len(seen) == 1:
            receive(peer, bundle_bytes(store, line[0].commit))

    receive(peer, bundle_bytes(store, line[1].commit), check_advance=check_advance)
    assert seen == [None, line[0]]
    assert peer.find_head() == line[1]


def test_the_newest_base_below_a_target_is_found(store, line):
    candidates = [line[0].commit, line[1].commit, line[2].commit, NO_COMMIT]
    assert store.find_base(line[2].commit, candidates) == line[1].commit
    assert store.find_base(line[1].commit, candidates) == line[0].commit
    assert store.find_base(line[0].commit, candidates) is None
    assert store.find_base(line[2].commit, [line[2].commit]) is None
    with pytest.raises(BundleMissingError):
        store.find_base(NO_COMMIT, candidates)
