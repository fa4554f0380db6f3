"""A workspace's directory as files and provenance: what is read, left out and refused."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
from pathlib import Path

import pytest

from yoi_bundles import errors
from yoi_bundles.author import git_answers, source
from yoi_bundles.author.provenance import find_public_uri, read_provenance
from yoi_bundles.author.source import read_workspace
from yoi_bundles.model.limits import Limits
from yoi_bundles.model.revision import Provenance


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """The smallest directory that counts as a workspace."""
    directory = tmp_path / "agents"
    (directory / "prompts" / "role").mkdir(parents=True)
    (directory / "bundle.toml").write_bytes(b"schema = 1\n")
    (directory / "prompts" / "role" / "a.md").write_bytes(b"A.\n")
    return directory


def names(directory: Path, **limits: int) -> list[str]:
    return [str(path) for path in read_workspace(directory, limits=Limits(**limits))]


# --- reading --------------------------------------------------------------------------


def test_files_come_in_path_order_with_their_bytes(workspace: Path) -> None:
    files = read_workspace(workspace)
    assert {str(path): data for path, data in files.items()} == {
        "bundle.toml": b"schema = 1\n",
        "prompts/role/a.md": b"A.\n",
    }
    assert list(files) == sorted(files)


def test_a_link_to_the_workspace_itself_is_followed(workspace: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(workspace)
    assert names(tmp_path / "link") == ["bundle.toml", "prompts/role/a.md"]


def test_the_executable_bit_is_ignored(workspace: Path) -> None:
    (workspace / "bundle.toml").chmod(0o755)
    assert "bundle.toml" in names(workspace)


@pytest.mark.parametrize("name", [".git", ".idea", ".vscode", ".yoi-schemas"])
def test_directories_of_tools_are_left_out_at_the_top(workspace: Path, name: str) -> None:
    (workspace / name).mkdir()
    (workspace / name / "link").symlink_to("/")
    assert names(workspace) == ["bundle.toml", "prompts/role/a.md"]


@pytest.mark.parametrize("name", [".git", ".gitignore", ".gitattributes", ".editorconfig"])
def test_files_of_tools_are_left_out_at_the_top(workspace: Path, name: str) -> None:
    (workspace / name).write_text("x")
    assert names(workspace) == ["bundle.toml", "prompts/role/a.md"]


@pytest.mark.parametrize(
    "name", [".DS_Store", "Thumbs.db", "a.md~", ".a.md.swp", "#a.md#", ".#a.md"]
)
def test_litter_is_left_out_everywhere(workspace: Path, name: str) -> None:
    (workspace / "prompts" / name).write_text("x")
    (workspace / name).write_text("x")
    assert names(workspace) == ["bundle.toml", "prompts/role/a.md"]


@pytest.mark.parametrize("name", [".gitignore", ".editorconfig", "README.md", ".env", ".hidden"])
def test_other_files_are_read_so_that_the_check_can_name_them(workspace: Path, name: str) -> None:
    (workspace / "prompts" / name).write_text("x")
    assert f"prompts/{name}" in names(workspace)


def test_an_empty_directory_is_no_file(workspace: Path) -> None:
    (workspace / "tools").mkdir()
    assert names(workspace) == ["bundle.toml", "prompts/role/a.md"]


# --- refusing -------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["/etc/passwd", "a.md", "missing", "/", ".."])
def test_a_link_inside_is_refused_wherever_it_points(workspace: Path, target: str) -> None:
    (workspace / "prompts" / "role" / "b.md").symlink_to(target)
    with pytest.raises(errors.ForbiddenModeError) as caught:
        read_workspace(workspace)
    assert caught.value.facts["file"] == "prompts/role/b.md"


def test_a_linked_directory_is_refused(workspace: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (workspace / "tools").symlink_to(tmp_path / "outside")
    with pytest.raises(errors.ForbiddenModeError, match="tools is not a regular file"):
        read_workspace(workspace)


def test_a_linked_manifest_is_refused(workspace: Path, tmp_path: Path) -> None:
    (workspace / "bundle.toml").rename(tmp_path / "elsewhere.toml")
    (workspace / "bundle.toml").symlink_to(tmp_path / "elsewhere.toml")
    with pytest.raises(errors.ForbiddenModeError):
        read_workspace(workspace)


def test_a_pipe_is_refused_without_waiting_for_a_writer(workspace: Path) -> None:
    os.mkfifo(workspace / "prompts" / "pipe.md")
    with pytest.raises(errors.ForbiddenModeError, match=r"prompts/pipe\.md"):
        read_workspace(workspace)


def test_a_socket_is_refused(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workspace)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("s.md")
        with pytest.raises(errors.ForbiddenModeError, match=r"s\.md"):
            read_workspace(workspace)


@pytest.mark.parametrize("name", ["con.md", "a:b.md", "x .", ".gitmodules", "e\u0301.md"])
def test_an_unsafe_name_is_refused(workspace: Path, name: str) -> None:
    (workspace / "prompts" / name).write_text("x")
    with pytest.raises(errors.ForbiddenPathError):
        read_workspace(workspace)


def test_a_repository_inside_is_refused(workspace: Path) -> None:
    (workspace / "prompts" / ".git").mkdir()
    with pytest.raises(errors.ForbiddenPathError):
        read_workspace(workspace)


def test_a_name_that_is_not_utf8_is_refused(workspace: Path) -> None:
    Path(os.fsdecode(os.fsencode(workspace / "prompts") + b"/\xff.md")).write_text("x")
    with pytest.raises(errors.ForbiddenPathError):
        read_workspace(workspace)


def test_names_that_differ_in_case_are_refused(workspace: Path) -> None:
    (workspace / "prompts" / "Role").mkdir()
    (workspace / "prompts" / "Role" / "b.md").write_text("x")
    with pytest.raises(errors.ForbiddenPathError, match="one file where case is ignored"):
        read_workspace(workspace)


def test_a_tree_too_deep_is_refused(workspace: Path) -> None:
    (workspace / "prompts" / "b" / "c").mkdir(parents=True)
    (workspace / "prompts" / "b" / "c" / "d.md").write_text("x")
    assert "prompts/b/c/d.md" in names(workspace, tree_depth=3)
    with pytest.raises(errors.ForbiddenPathError):
        read_workspace(workspace, limits=Limits(tree_depth=2))


@pytest.mark.parametrize(
    ("limit", "allowed"), [("file_bytes", 11), ("tree_bytes", 14), ("files", 2)]
)
def test_each_limit_holds_exactly(workspace: Path, limit: str, allowed: int) -> None:
    assert len(names(workspace, **{limit: allowed})) == 2
    with pytest.raises(errors.TooLargeError) as caught:
        read_workspace(workspace, limits=Limits(**{limit: allowed - 1}))
    assert caught.value.facts["limit_name"] == limit
    assert caught.value.facts["limit"] == allowed - 1


@pytest.mark.parametrize("name", ["missing", "agents/bundle.toml"])
def test_no_such_directory(workspace: Path, name: str) -> None:
    with pytest.raises(errors.InvalidInputError, match="no such directory") as caught:
        read_workspace(workspace.parent / name)
    assert "init" in str(caught.value.hint)


def test_a_directory_without_a_manifest_is_no_workspace(tmp_path: Path) -> None:
    with pytest.raises(errors.InvalidInputError, match=r"holds no bundle\.toml") as caught:
        read_workspace(tmp_path)
    assert "init" in str(caught.value.hint)


def test_no_error_names_a_path_of_this_machine(workspace: Path) -> None:
    (workspace / "prompts" / "b.md").symlink_to("/etc/passwd")
    with pytest.raises(errors.ForbiddenModeError) as caught:
        read_workspace(workspace)
    assert str(workspace.parent) not in f"{caught.value.message} {caught.value.facts}"


@pytest.mark.parametrize("broken", ["prompts", "bundle.toml"])
def test_what_cannot_be_opened_is_named(
    workspace: Path, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The tests may run as root, who can open everything.
    real_open = os.open

    def refuse(name: str | Path, flags: int, *, dir_fd: int | None = None) -> int:
        if str(name) == broken:
            raise PermissionError(13, "Permission denied")
        return real_open(name, flags, dir_fd=dir_fd)

    monkeypatch.setattr(source.os, "open", refuse)
    with pytest.raises(
        errors.InvalidInputError, match=f"{broken} cannot be read: Permission denied"
    ):
        read_workspace(workspace)


def test_a_workspace_that_cannot_be_opened(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object, **options: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(source.os, "open", refuse)
    with pytest.raises(errors.InvalidInputError, match="the directory cannot be read"):
        read_workspace(workspace)


def test_a_directory_that_cannot_be_listed(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(directory: int) -> list[str]:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(source.os, "listdir", refuse)
    with pytest.raises(errors.InvalidInputError, match="the directory cannot be read: Input"):
        read_workspace(workspace)


def test_a_file_that_vanishes_while_it_is_read(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_listdir = os.listdir
    monkeypatch.setattr(source.os, "listdir", lambda fd: [*real_listdir(fd), "gone.md"])
    with pytest.raises(errors.InvalidInputError, match=r"gone\.md cannot be read"):
        read_workspace(workspace)


def test_a_file_that_cannot_be_read_to_its_end(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int, mode: str) -> object:
        os.close(descriptor)
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(source.os, "fdopen", refuse)
    with pytest.raises(errors.InvalidInputError, match=r"bundle\.toml cannot be read"):
        read_workspace(workspace)


# --- provenance -----------------------------------------------------------------------


def run_git(directory: Path, *arguments: str) -> str:
    identity = {"GIT_AUTHOR_NAME": "T", "GIT_AUTHOR_EMAIL": "t@example.org"}
    identity |= {"GIT_COMMITTER_NAME": "T", "GIT_COMMITTER_EMAIL": "t@example.org"}
    environment = {"PATH": os.environ["PATH"], "HOME": str(directory), **identity}
    done = subprocess.run(
        ["git", *arguments], cwd=directory, env=environment, check=True, capture_output=True
    )
    return done.stdout.decode().strip()


@pytest.fixture
def checkout(workspace: Path) -> Path:
    """The workspace as a clean git checkout with one commit."""
    run_git(workspace, "init", "-q", "-b", "main")
    run_git(workspace, "add", ".")
    run_git(workspace, "commit", "-q", "-m", "first")
    return workspace


def provenance(directory: Path) -> Provenance:
    return read_provenance(directory, published_by="CI <ci@example.org>", built_with="yoi 1")


def test_a_plain_directory_is_named_and_nothing_else(workspace: Path) -> None:
    assert provenance(workspace) == Provenance(
        source_kind="directory",
        source_uri="agents",
        published_by="CI <ci@example.org>",
        built_with="yoi 1",
    )


def test_a_missing_git_is_no_error(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert provenance(workspace).source_kind == "directory"


def test_a_git_that_hangs_is_given_up(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(*arguments: object, **options: object) -> object:
        raise subprocess.TimeoutExpired("git", 20)

    monkeypatch.setattr(git_answers.subprocess, "run", hang)
    assert provenance(checkout).source_kind == "directory"


@pytest.mark.needs_git
class TestCheckouts:
    def test_a_clean_checkout_names_remote_and_commit(self, checkout: Path) -> None:
        run_git(checkout, "remote", "add", "origin", "https://me:pw@git.example.org/a/b.git?x=1")
        found = provenance(checkout)
        assert found.source_kind == "git"
        assert found.source_uri == "https://git.example.org/a/b.git"
        assert found.source_revision == run_git(checkout, "rev-parse", "HEAD")
        assert found.source_dirty is False

    @pytest.mark.parametrize("remote", [None, "/srv/git/agents.git", "../agents.git"])
    def test_without_a_public_remote_the_directory_is_named(
        self, checkout: Path, remote: str | None
    ) -> None:
        if remote is not None:
            run_git(checkout, "remote", "add", "origin", remote)
        found = provenance(checkout)
        assert (found.source_kind, found.source_uri) == ("git", "agents")

    def test_an_edited_file_is_dirty(self, checkout: Path) -> None:
        (checkout / "bundle.toml").write_text("schema = 2\n")
        assert provenance(checkout).source_dirty is True

    def test_a_staged_file_is_dirty(self, checkout: Path) -> None:
        (checkout / "new.md").write_text("x")
        run_git(checkout, "add", ".")
        assert provenance(checkout).source_dirty is True

    @pytest.mark.parametrize("name", ["new.md", "prompts/ü n.md"])
    def test_an_untracked_file_is_dirty(self, checkout: Path, name: str) -> None:
        (checkout / name).write_text("x")
        assert provenance(checkout).source_dirty is True

    def test_a_file_that_git_ignores_is_dirty_because_it_is_published(self, checkout: Path) -> None:
        (checkout / ".gitignore").write_text("*.md\n")
        (checkout / "prompts" / "local.md").write_text("x")
        assert provenance(checkout).source_dirty is True

    def test_what_is_never_published_is_not_dirt(self, checkout: Path) -> None:
        (checkout / ".yoi-schemas").mkdir()
        (checkout / ".yoi-schemas" / "x.json").write_text("{}")
        (checkout / "prompts" / ".DS_Store").write_text("x")
        (checkout / ".gitignore").write_text(".yoi-schemas/\n")
        assert provenance(checkout).source_dirty is False

    def test_changes_outside_the_workspace_do_not_count(self, tmp_path: Path) -> None:
        inner = tmp_path / "mono" / "agents"
        inner.mkdir(parents=True)
        (inner / "bundle.toml").write_text("schema = 1\n")
        run_git(tmp_path / "mono", "init", "-q", "-b", "main")
        run_git(tmp_path / "mono", "add", ".")
        run_git(tmp_path / "mono", "commit", "-q", "-m", "first")
        (tmp_path / "mono" / "other.txt").write_text("x")
        assert provenance(inner).source_dirty is False
        (inner / ".yoi-schemas").mkdir()
        (inner / ".yoi-schemas" / "x.json").write_text("{}")
        assert provenance(inner).source_dirty is False
        (inner / "bundle.toml").write_text("schema = 2\n")
        assert provenance(inner).source_dirty is True

    def test_a_directory_that_the_repository_does_not_track(self, checkout: Path) -> None:
        stray = checkout / "stray"
        stray.mkdir()
        (stray / "bundle.toml").write_text("schema = 1\n")
        found = provenance(stray)
        assert (found.source_kind, found.source_revision) == ("directory", None)

    @pytest.mark.parametrize("kind", ["sha1", "sha256"])
    def test_a_repository_whose_commit_tracks_nothing(self, workspace: Path, kind: str) -> None:
        run_git(workspace, "init", "-q", f"--object-format={kind}")
        run_git(workspace, "commit", "-q", "--allow-empty", "-m", "nothing")
        assert provenance(workspace).source_kind == "directory"

    def test_a_directory_whose_name_is_two_lines(self, tmp_path: Path) -> None:
        inner = tmp_path / "mono" / "a\nb"
        inner.mkdir(parents=True)
        (inner / "bundle.toml").write_text("schema = 1\n")
        run_git(tmp_path / "mono", "init", "-q", "-b", "main")
        run_git(tmp_path / "mono", "add", ".")
        run_git(tmp_path / "mono", "commit", "-q", "-m", "first")
        (inner / ".yoi-schemas").mkdir()
        (inner / ".yoi-schemas" / "x.json").write_text("{}")
        found = provenance(inner)
        assert found.source_revision == run_git(tmp_path / "mono", "rev-parse", "HEAD")
        assert found.source_dirty is False

    def test_a_repository_without_a_commit(self, workspace: Path) -> None:
        run_git(workspace, "init", "-q")
        assert provenance(workspace).source_kind == "directory"

    def test_the_environment_cannot_point_git_elsewhere(
        self, checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("GIT_DIR", str(tmp_path / "other"))
        assert provenance(checkout).source_kind == "git"

    def test_the_repository_is_not_written_to(self, checkout: Path) -> None:
        index = checkout / ".git" / "index"
        os.utime(checkout / "bundle.toml", (1, 1))
        before = index.read_bytes()
        assert provenance(checkout).source_dirty is False
        assert index.read_bytes() == before

    def test_an_unanswered_status_leaves_dirty_open(
        self, checkout: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = git_answers._run_git
        monkeypatch.setattr(
            git_answers, "_run_git", lambda d, *a: None if a[0] == "status" else real(d, *a)
        )
        assert provenance(checkout).source_dirty is None


def test_a_name_is_made_printable(tmp_path: Path) -> None:
    directory = tmp_path / "a\nb\x1bc"
    directory.mkdir()
    assert provenance(directory).source_uri == "a?b?c"


def test_the_root_directory_has_a_stand_in() -> None:
    assert provenance(Path("/")).source_uri == "workspace"


TOKEN_IN_PATH = (
    "https://git.example.org/" + "_".join(["ghp", hashlib.sha256(b"x").hexdigest()[:36]]) + "/a.git"
)


@pytest.mark.parametrize(
    ("remote", "uri"),
    [
        ("https://git.example.org/a/b.git", "https://git.example.org/a/b.git"),
        ("https://me@git.example.org/a/b.git", "https://git.example.org/a/b.git"),
        ("https://me:pw@git.example.org:8443/a?token=x#y", "https://git.example.org:8443/a"),
        ("ssh://git@git.example.org:22/a.git", "ssh://git.example.org:22/a.git"),
        ("ssh://git@[::1]:22/a.git", "ssh://[::1]:22/a.git"),
        ("git@git.example.org:a/b.git", "ssh://git.example.org/a/b.git"),
        ("git.example.org:/srv/a.git", "ssh://git.example.org/srv/a.git"),
        ("/srv/git/a.git", None),
        ("../a.git", None),
        ("file:///srv/git/a.git", None),
        ("C:\\git\\a.git", None),
        ("ext::sh -c evil", None),
        ("https:///a.git", None),
        ("https://git.example.org:port/a.git", None),
        ("https://git.example.org/a b.git", None),
        ("https://git.example.org/ü.git", None),
        ("https://git.example.org/" + "a" * 400, None),
        (TOKEN_IN_PATH, None),
    ],
)
def test_only_the_public_part_of_a_remote_is_told(remote: str, uri: str | None) -> None:
    assert find_public_uri(remote) == uri
