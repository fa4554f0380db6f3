"""What git makes of our repositories and bundle files, and what we make of git's."""

import os

import pytest
from store_factories import (
    EPOCH,
    WORKSPACE,
    bundle_bytes,
    make_draft,
    make_files,
    receive,
    run_git,
)

from yoi_bundles.errors import BundleError
from yoi_bundles.store import Repository
from yoi_bundles.store.pack.deltas import encode_delta
from yoi_bundles.store.pack.index import encode_pack_index
from yoi_bundles.store.pack.writer import PackEntry, PackWriter
from yoi_bundles.store.tree.objects import Kind, hash_object

pytestmark = pytest.mark.needs_git


def publish(store, seconds=0, **changes):
    return store.publish(make_files(**changes), make_draft(seconds=EPOCH + seconds)).revision


@pytest.fixture
def line(repository):
    """Three revisions, oldest first."""
    return [publish(repository, i, note=f"note {i}\n" * 30) for i in range(3)]


@pytest.fixture
def bare(tmp_path):
    """An empty repository made by git."""
    path = tmp_path / "bare.git"
    run_git("init", "-q", "--bare", "--object-format=sha256", "-b", "main", path)
    return path


def test_fsck_is_clean_after_every_write(repository, peer, line):
    receive(peer, bundle_bytes(repository, line[0].commit))
    receive(peer, bundle_bytes(repository, line[2].commit, [line[0].commit]))
    for store in (repository, peer):
        assert run_git("fsck", "--full", "--strict", cwd=store.path) == ""
        for index in (store.path / "objects" / "pack").glob("*.idx"):
            run_git("verify-pack", "--object-format=sha256", index)


def test_git_shows_what_we_wrote(repository, line):
    shown = run_git("log", "--format=%H %T %an <%ae> %at %s", cwd=repository.path).splitlines()
    assert shown == [
        f"{r.commit} {r.digest} Ann Example <ann@example.org> {EPOCH + r.number - 1} "
        f"Publish revision {r.number} of team-a"
        for r in reversed(line)
    ]
    assert run_git("rev-parse", "HEAD^{tree}", cwd=repository.path).strip() == str(line[2].digest)
    shown = run_git("show", f"{line[1].digest}:note.md", cwd=repository.path)
    assert shown == "note 1\n" * 30
    diff = run_git("diff", "--stat", line[0].commit, line[1].commit, cwd=repository.path)
    assert "note.md" in diff


def test_git_reads_the_trailers(repository):
    message = "Subject\n\nBody: looks like one\nOther: too"
    files = make_files()
    repository.publish(
        files, make_draft(message, source_kind="git", source_revision="f" * 40, source_dirty=True)
    )
    shown = run_git("log", "-1", "--format=%(trailers)", cwd=repository.path)
    assert shown.strip().splitlines() == [
        "Bundle-Schema: 1",
        "Bundle-Workspace: team-a",
        "Bundle-Revision: 1",
        "Source-Kind: git",
        "Source-Uri: conf",
        f"Source-Revision: {'f' * 40}",
        "Source-Dirty: true",
        "Published-By: Ann Example <ann@example.org>",
        "Built-With: yoi-bundles 0.1.0",
    ]


def test_a_person_without_an_address_passes_fsck(repository):
    repository.publish(make_files(), make_draft(published_by="build robot"))
    assert run_git("fsck", "--full", "--strict", cwd=repository.path) == ""
    assert run_git("log", "--format=%an|%ae", cwd=repository.path).strip() == "build robot|"


def test_the_digest_is_what_write_tree_gives(repository, tmp_path, line):
    run_git("clone", "-q", repository.path, tmp_path / "clone")
    assert run_git("write-tree", cwd=tmp_path / "clone").strip() == str(line[2].digest)
    assert run_git("status", "--porcelain", cwd=tmp_path / "clone") == ""


def test_git_fetches_from_full_and_incremental_files(repository, line, bare, tmp_path):
    steps = [(line[0], []), (line[2], [line[0].commit])]
    for number, (revision, bases) in enumerate(steps):
        file = tmp_path / f"{number}.bundle"
        file.write_bytes(bundle_bytes(repository, revision.commit, bases))
        run_git("bundle", "verify", file, cwd=bare)
        run_git("fetch", "-q", file, "refs/heads/main:refs/heads/main", cwd=bare)
        head = run_git("rev-parse", "main", cwd=bare).strip()
        assert head == str(revision.commit)
        assert run_git("fsck", "--full", "--strict", cwd=bare) == ""


def test_long_chains_of_deltas_stay_within_what_git_takes(repository, bare, tmp_path):
    lines = [f"line {i}\n" for i in range(200)]
    for i in range(120):
        lines[i] = f"changed {i}\n"
        publish(repository, i, note="".join(lines))
    head = repository.find_head()
    file = tmp_path / "all.bundle"
    file.write_bytes(bundle_bytes(repository, head.commit))
    run_git("fetch", "-q", file, "refs/heads/main:refs/heads/main", cwd=bare)
    pack = next((bare / "objects" / "pack").glob("*.idx"))
    report = run_git("verify-pack", "--object-format=sha256", "-s", pack)
    depths = [int(row.split()[3].rstrip(":")) for row in report.splitlines() if "chain" in row]
    assert max(depths) <= 50
    with Repository.create(tmp_path / "again.git", WORKSPACE) as again:
        receive(again, file.read_bytes())
        assert again.find_head() == head
        assert again.verify().problems == ()


@pytest.mark.parametrize("change", ["small", "large", "deep"])
def test_an_increment_is_as_small_as_gits(repository, change, tmp_path):
    text = {"small": "a\n", "large": "".join(f"line {i * i}\n" for i in range(3000)), "deep": "x\n"}
    name = "a__b__c__d__note" if change == "deep" else "note"
    base = publish(repository, 0, **{name: text[change]})
    tip = publish(repository, 1, **{name: text[change] + "one more\n"})
    ours = bundle_bytes(repository, tip.commit, [base.commit])
    revisions = f"{tip.commit}\n^{base.commit}\n".encode()
    theirs = tmp_path / "thin.pack"
    out = run_git(
        "bundle", "create", "-q", "--version=3", theirs, "main", f"^{base.commit}",
        cwd=repository.path, stdin=revisions,
    )  # fmt: skip
    assert out == ""
    assert len(ours) <= theirs.stat().st_size * 1.1


def test_a_full_file_made_by_git_is_accepted(repository, peer, line, tmp_path):
    run_git("clone", "-q", repository.path, tmp_path / "clone")
    file = tmp_path / "git.bundle"
    run_git("bundle", "create", "-q", "--version=3", file, "main", cwd=tmp_path / "clone")
    result = receive(peer, file.read_bytes(), expected=line[2].digest)
    assert result.revision == line[2]
    assert run_git("fsck", "--full", "--strict", cwd=peer.path) == ""


def test_an_increment_made_by_git_is_accepted(repository, peer, line, tmp_path):
    receive(peer, bundle_bytes(repository, line[0].commit))
    file = tmp_path / "git.bundle"
    run_git("repack", "-adq", cwd=repository.path)
    run_git(
        "bundle", "create", "-q", "--version=3", file, "main", f"^{line[0].commit}",
        cwd=repository.path,
    )  # fmt: skip
    assert receive(peer, file.read_bytes()).is_new
    assert peer.find_head() == line[2]
    assert run_git("fsck", "--full", "--strict", cwd=peer.path) == ""
    assert peer.verify().problems == ()


def test_a_commit_that_git_spells_otherwise_is_refused(repository, peer, line, tmp_path):
    clone = tmp_path / "clone"
    run_git("clone", "-q", repository.path, clone)
    run_git("commit", "-q", "--allow-empty", "-m", "By hand", cwd=clone)
    file = tmp_path / "git.bundle"
    run_git("bundle", "create", "-q", "--version=3", file, "main", cwd=clone)
    with pytest.raises(BundleError) as caught:
        receive(peer, file.read_bytes())
    assert caught.value.code == "malformed_bundle"


@pytest.mark.parametrize(
    "commands",
    [
        [["gc", "-q"]],
        [["repack", "-adq"], ["pack-refs", "--all"]],
        [["multi-pack-index", "write"]],
        [["repack", "-adq"], ["multi-pack-index", "write"], ["commit-graph", "write"]],
        [["unpack-objects", "-q"]],
    ],
    ids=lambda commands: " ".join(commands[0]),
)
def test_everything_still_works_after_an_operators_maintenance(repository, line, commands):
    reader = repository.tree(line[0].digest)
    for command in commands:
        stdin = None
        if command[0] == "unpack-objects":
            packs = list((repository.path / "objects" / "pack").glob("*.pack"))
            stdin = packs[0].read_bytes()
            for pack in packs[:1]:
                pack.unlink()
                pack.with_suffix(".idx").unlink()
        run_git(*command, cwd=repository.path, stdin=stdin)
    assert {p: reader.read(p) for p in reader.entries()} == make_files(note="note 0\n" * 30)
    assert list(repository.revisions()) == line[::-1]
    assert {r.commit for r in repository.held()} == {r.commit for r in line}
    fourth = publish(repository, 9, note="after\n")
    assert repository.find_head() == fourth
    assert repository.find_revision(line[1].digest) == line[1]
    with Repository.open(repository.path) as again:
        assert again.verify().problems == ()
        assert bundle_bytes(again, fourth.commit, [line[0].commit])
    assert run_git("fsck", "--full", "--strict", cwd=repository.path) == ""


def test_our_index_is_gits_index(tmp_path):
    pack_file = tmp_path / "x.pack"
    with pack_file.open("wb") as file:
        pack = PackWriter(file, 300)
        previous = b""
        for i in range(300):
            data = b"content %d\n" % i * 10
            oid = hash_object(Kind.BLOB, data)
            if i % 3 == 2:
                pack.add_ref_delta(
                    oid, hash_object(Kind.BLOB, previous), encode_delta(previous, data)
                )
            else:
                pack.add(oid, Kind.BLOB, data)
            previous = data
        checksum = pack.finish()
    run_git("index-pack", "--object-format=sha256", "-o", tmp_path / "git.idx", pack_file)
    ours = encode_pack_index(pack.entries, checksum)
    assert ours == (tmp_path / "git.idx").read_bytes()


def test_offsets_beyond_two_gibibytes_have_a_table_of_their_own(tmp_path):
    """Only the format is looked at; no such pack is made."""
    entries = [
        PackEntry(bytes([i]) * 32, offset, i) for i, offset in enumerate((12, 1 << 33, 1 << 31))
    ]
    (tmp_path / "x.idx").write_bytes(encode_pack_index(entries, b"\1" * 32))
    shown = run_git("show-index", "--object-format=sha256", stdin=(tmp_path / "x.idx").read_bytes())
    assert [int(row.split()[0]) for row in shown.splitlines()] == [12, 1 << 33, 1 << 31]


def test_a_ref_that_git_has_locked_for_a_moment_is_waited_for(repository, line):
    lock = repository.path / "refs" / "heads" / "main.lock"
    lock.write_bytes(b"")
    child = os.fork()
    if child == 0:
        os.execvp("sh", ["sh", "-c", f"sleep 0.2; rm '{lock}'"])
    assert publish(repository, 5, note="waited\n") == repository.find_head()
    os.waitpid(child, 0)
