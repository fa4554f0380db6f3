"""Any files make the tree that git makes, and survive every way through the store."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from depth import times
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "store"))

from store_factories import (
    EPOCH,
    WORKSPACE,
    bundle_bytes,
    make_draft,
    make_provenance,
    receive,
    run_git,
)

from yoi_bundles.errors import BundleError, ForbiddenPathError
from yoi_bundles.model.ids import CommitId, RelativePath
from yoi_bundles.model.paths import parse_tree_path, verify_paths
from yoi_bundles.store import Repository, compute_digest, encode_commit, parse_commit
from yoi_bundles.store.pack.deltas import apply_delta, encode_delta
from yoi_bundles.store.tree.objects import Kind, TreeEntry, encode_tree, hash_object, parse_tree

NAMES = st.text(st.sampled_from("abcXYZ019-_. \u00e9\u00df\u6771"), min_size=1, max_size=6)
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)


def is_safe(paths):
    try:
        verify_paths([parse_tree_path(path) for path in paths])
    except ForbiddenPathError:
        return False
    return True


FILES = (
    st.dictionaries(PATHS, st.binary(max_size=60), max_size=12)
    .filter(is_safe)
    .map(lambda files: {RelativePath(path): data for path, data in files.items()})
)
FAST = settings(max_examples=times(30), deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(scope="module")
def odb(tmp_path_factory):
    """A repository of git's into which trees are written."""
    path = tmp_path_factory.mktemp("odb")
    run_git("init", "-q", "--bare", "--object-format=sha256", path)
    return path


def write_tree(odb, files):
    """The tree id git computes with an index of its own."""
    with tempfile.TemporaryDirectory() as scratch:
        for number, data in enumerate(files.values()):
            (Path(scratch) / str(number)).write_bytes(data)
        names = "".join(f"{scratch}/{number}\n" for number in range(len(files)))
        ids = run_git("hash-object", "-w", "--stdin-paths", cwd=odb, stdin=names.encode()).split()
        rows = "".join(f"100644 {blob}\t{path}\0" for blob, path in zip(ids, files, strict=True))
        environment = {"GIT_INDEX_FILE": f"{scratch}/index", "PATH": "/usr/bin:/bin"}
        command = ["git", "-C", str(odb), "update-index", "-z", "--add", "--index-info"]
        subprocess.run(command, input=rows.encode(), env=environment, check=True)
        done = subprocess.run(
            ["git", "-C", str(odb), "write-tree"], env=environment, check=True, capture_output=True
        )
    return done.stdout.decode().strip()


@pytest.mark.needs_git
@FAST
@given(files=FILES)
def test_the_digest_is_what_git_write_tree_prints(odb, files):
    assert str(compute_digest(files)) == write_tree(odb, files)


@FAST
@given(states=st.lists(FILES, min_size=1, max_size=5), step=st.integers(1, 3))
def test_any_history_survives_any_bundle_files(states, step):
    with tempfile.TemporaryDirectory() as scratch:
        store = Repository.create(Path(scratch) / "a.git", WORKSPACE)
        peer = Repository.create(Path(scratch) / "b.git", WORKSPACE)
        with store, peer:
            line = []
            for i, files in enumerate(states):
                result = store.publish(files, make_draft(seconds=EPOCH + i))
                line += [result.revision] if result.is_new else []
            bases: list[CommitId] = []
            for revision in [*line[::step], line[-1]]:
                if revision.commit in bases:
                    continue
                raw = bundle_bytes(store, revision.commit, bases)
                receive(peer, raw, expected=revision.digest)
                bases.append(revision.commit)
            assert list(peer.revisions()) == line[::-1]
            reader = peer.tree(line[-1].digest)
            assert {p: reader.read(p) for p in reader.entries()} == states[-1]
            assert peer.verify().problems == ()


@given(base=st.binary(max_size=300), target=st.binary(max_size=300), cut=st.integers(0, 300))
def test_any_target_is_rebuilt_from_any_base(base, target, cut):
    target = base[:cut] + target + base[cut:]
    assert apply_delta(base, encode_delta(base, target), len(target)) == target


@given(base=st.binary(max_size=40), delta=st.binary(max_size=40))
def test_any_bytes_as_a_delta_make_a_bounded_result_or_an_error(base, delta):
    try:
        result = apply_delta(base, delta, 64)
    except BundleError:
        return
    assert len(result) <= 64


@given(raw=st.binary(max_size=120))
def test_any_bytes_as_a_tree_are_refused_or_canonical(raw):
    try:
        entries = parse_tree(raw)
    except BundleError:
        return
    assert encode_tree(entries) == raw


@given(names=st.sets(NAMES, max_size=6), trees=st.integers(0, 63))
def test_any_directory_is_parsed_back_or_refused(names, trees):
    entries = [
        TreeEntry(name, bool(trees & (1 << i)), hash_object(Kind.BLOB, name.encode()))
        for i, name in enumerate(sorted(names))
    ]
    try:
        parsed = parse_tree(encode_tree(entries))
    except ForbiddenPathError:
        assert not is_safe(names)
        return
    assert set(parsed) == set(entries)


@given(
    message=st.text(max_size=80),
    number=st.integers(1, 2**53 - 1),
    uri=st.text(min_size=1, max_size=20),
)
def test_any_commit_is_refused_or_parsed_back(message, number, uri):
    draft = make_draft()
    try:
        raw = encode_commit(
            digest=compute_digest({}),
            parent=None,
            workspace=WORKSPACE,
            number=number,
            created_at=draft.created_at,
            provenance=make_provenance(source_uri=uri),
            message=message,
        )
    except (BundleError, ValueError):
        return
    parsed = parse_commit(raw)
    assert parsed.payload == raw
    assert (parsed.revision.number, parsed.revision.provenance.source_uri) == (number, uri)
