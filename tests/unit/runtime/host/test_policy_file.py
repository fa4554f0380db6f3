"""The policy file: believed only if nobody but the operator can have written it."""

import hashlib
import os
import re
import typing
from pathlib import Path

import pytest
from pydantic import BaseModel

from yoi_bundles.errors import InvalidHostPolicyError
from yoi_bundles.model.host_policy import HostPolicy
from yoi_bundles.model.limits import DEFAULT_LIMITS
from yoi_bundles.runtime.host.policy_file import (
    POLICY_BYTES,
    PolicyHolder,
    load_host_policy,
    parse_host_policy,
    receive_limits,
)

GOOD = 'schema = 1\n[bundles]\nworkspaces = ["acme"]\n'


@pytest.fixture
def place(tmp_path):
    """A safe directory for policies, and the state directory beside it."""
    directory = tmp_path / "etc"
    directory.mkdir(mode=0o755)
    (tmp_path / "state").mkdir()
    return directory


def write(place, text=GOOD, name="policy.toml", mode=0o644):
    path = place / name
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


def load(path):
    return load_host_policy(path, state_directory=path.parent.parent / "state")


def refuse(path, match):
    with pytest.raises(InvalidHostPolicyError, match=match) as caught:
        load(path)
    assert caught.value.code == "invalid_host_policy"
    assert str(path.parent) not in str(caught.value) + str(caught.value.facts)
    return caught.value


def test_a_good_file_is_loaded_with_the_hash_of_its_bytes(place):
    loaded = load(write(place))
    assert loaded.policy.bundles.workspaces == ("acme",)
    assert str(loaded.digest) == "sha256:" + hashlib.sha256(GOOD.encode()).hexdigest()


def test_a_loaded_policy_does_not_print_its_rules_or_path(place):
    text = GOOD + '[[mount]]\nname = "x"\npath = "/srv/canary"\n'
    loaded = load(write(place, text))
    assert "canary" not in repr(loaded)
    assert str(place) not in repr(loaded)


# --- who can have written it ---


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o666, 0o777])
def test_a_file_others_may_write_is_refused(place, mode):
    refuse(write(place, mode=mode), "may be written by others")


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o400])
def test_a_file_only_its_owner_may_write_is_fine(place, mode):
    assert load(write(place, mode=mode))


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o777])
def test_a_directory_others_may_write_is_refused(place, mode):
    path = write(place)
    place.chmod(mode)
    refuse(path, "a directory above it: may be written by others")


def test_a_sticky_directory_is_fine(place):
    path = write(place)
    place.chmod(0o1777)
    assert load(path)


def test_a_directory_far_above_counts_too(place):
    below = place / "a" / "b"
    below.mkdir(parents=True)
    path = write(below)
    place.chmod(0o777)
    with pytest.raises(InvalidHostPolicyError, match="a directory above it"):
        load_host_policy(path, state_directory=place.parent / "state")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_file_of_somebody_else_is_refused(place):
    path = write(place)
    os.chown(path, 12345, 12345)
    refuse(path, "belongs to neither this user nor root")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_sticky_directory_of_somebody_else_is_refused(place):
    path = write(place)
    place.chmod(0o1777)
    os.chown(place, 12345, 12345)
    refuse(path, "a directory above it: belongs to neither")


def test_a_link_at_the_end_is_refused(place):
    write(place)
    link = place / "link.toml"
    link.symlink_to("policy.toml")
    refuse(link, "symbolic link")


def test_directories_behind_links_are_looked_at(place):
    write(place)
    link = place.parent / "link"
    link.symlink_to("etc")
    path = link / "policy.toml"
    assert load_host_policy(path, state_directory=place.parent / "state")
    place.chmod(0o777)
    with pytest.raises(InvalidHostPolicyError, match="a directory above it"):
        load_host_policy(path, state_directory=place.parent / "state")


def test_the_directory_a_link_stands_in_is_looked_at(place):
    write(place)
    middle = place.parent / "middle"
    middle.mkdir()
    (middle / "link").symlink_to(place)
    middle.chmod(0o777)
    with pytest.raises(InvalidHostPolicyError, match="a directory above it"):
        load_host_policy(
            middle / "link" / ".." / "etc" / "policy.toml", state_directory=place.parent / "state"
        )
    outer = place.parent / "outer"
    outer.symlink_to(middle / "link")
    with pytest.raises(InvalidHostPolicyError, match="a directory above it"):
        load_host_policy(outer / "policy.toml", state_directory=place.parent / "state")


def test_two_dots_after_a_link_mean_what_the_system_means(place):
    other = place.parent / "other"
    (other / "below").mkdir(parents=True)
    (place / "link").symlink_to(other / "below")
    write(other)
    path = place / "link" / ".." / "policy.toml"
    assert load_host_policy(path, state_directory=place.parent / "state")
    other.chmod(0o777)
    with pytest.raises(InvalidHostPolicyError, match="a directory above it"):
        load_host_policy(path, state_directory=place.parent / "state")


def test_a_mount_whose_links_go_round_in_circles_is_no_crash(place):
    (place / "one").symlink_to("two")
    (place / "two").symlink_to("one")
    rule = f'[[mount]]\nname = "x"\npath = "{place}/one"\nmode = "rw"\n'
    assert load(write(place, GOOD + rule))


def test_a_circle_of_links_ends(place):
    (place / "one").symlink_to("two")
    (place / "two").symlink_to("one")
    with pytest.raises(InvalidHostPolicyError):
        load_host_policy(place / "one" / "p.toml", state_directory=place.parent / "state")


def test_relative_links_upwards_are_followed(place):
    write(place)
    (place / "up").symlink_to("../etc")
    assert load_host_policy(place / "up" / "policy.toml", state_directory=place.parent / "state")


@pytest.mark.parametrize("make", [lambda p: p.mkdir(), os.mkfifo])
def test_only_a_regular_file_is_read(place, make):
    path = place / "odd"
    make(path)
    refuse(path, "not a regular file")


def test_a_missing_file_and_a_missing_directory_are_refused(place):
    refuse(place / "gone.toml", "does not exist")
    with pytest.raises(InvalidHostPolicyError, match="a directory above it: it does not exist"):
        load_host_policy(place / "no" / "p.toml", state_directory=place.parent / "state")


def test_a_file_as_directory_is_refused(place):
    path = write(place)
    with pytest.raises(InvalidHostPolicyError, match="it is not a directory"):
        load_host_policy(path / "p.toml", state_directory=place.parent / "state")


def test_a_long_file_is_refused(place):
    refuse(write(place, GOOD + "#" * POLICY_BYTES), "longer than 1048576 bytes")


# --- where it lies ---


def test_the_state_directory_is_no_place_for_it(place):
    path = write(place)
    with pytest.raises(InvalidHostPolicyError, match="in the state directory"):
        load_host_policy(path, state_directory=place)
    link = place.parent / "elsewhere"
    link.symlink_to(place)
    with pytest.raises(InvalidHostPolicyError, match="in the state directory"):
        load_host_policy(path, state_directory=link)


@pytest.mark.parametrize("name", ["repo.git", ".git"])
def test_a_repository_is_no_place_for_it(place, name):
    repository = place / name
    repository.mkdir()
    (repository / "HEAD").write_text("ref: refs/heads/main\n")
    (repository / "objects").mkdir()
    (repository / "refs").mkdir()
    (repository / "hooks").mkdir()
    with pytest.raises(InvalidHostPolicyError, match="in a git repository"):
        load_host_policy(write(repository / "hooks"), state_directory=place.parent / "state")


def test_a_workspace_is_no_place_for_it(place):
    (place / "bundle.toml").write_text("schema = 1\n")
    refuse(write(place), "it lies in a workspace")


def test_a_mount_for_writing_is_no_place_for_it(place):
    rule = f'[[mount]]\nname = "etc"\npath = "{place}"\nmode = "rw"\n'
    error = refuse(write(place, GOOD + rule), "lets Workers write the directory")
    assert error.facts["rule"] == "mount[0]"
    assert load(write(place, GOOD + rule.replace("rw", "ro")))


# --- what is in it ---


def problems_of(text):
    with pytest.raises(InvalidHostPolicyError) as caught:
        parse_host_policy(text.encode(), file="p.toml")
    return caught.value, caught.value.facts.get("problems")


def test_toml_mistakes_have_a_line():
    error, _ = problems_of("schema = 1\n\n[bundles\n")
    assert error.facts["line"] == 3
    assert error.message.startswith("p.toml:3: it is not TOML")


def test_toml_that_ends_too_soon_needs_no_line():
    error, _ = problems_of('schema = 1\nx = """')
    assert "it is not TOML" in error.message


def test_bytes_that_are_no_text_have_a_line():
    with pytest.raises(InvalidHostPolicyError, match="p:2: it is not UTF-8"):
        parse_host_policy(b"schema = 1\n\xff", file="p")


def test_deep_nesting_is_refused():
    error, _ = problems_of("x = " + "[" * 50_000)
    assert "nested too deeply" in error.message or "not TOML" in error.message


@pytest.mark.parametrize(
    ("text", "line", "key", "message", "hint"),
    [
        ("[bundels]\n", 2, "bundels", "unknown key", "did you mean bundles?"),
        ('[bundles]\nworkspace = ["x"]\n', 3, "bundles.workspace", "unknown key",
         "did you mean workspaces?"),
        ("[capabilities.shell]\ncommand = []\n", 3, "capabilities.shell.command", "unknown key",
         "did you mean commands?"),
        ("[limits.worker]\nmax_turn = 1\n", 3, "limits.worker.max_turn", "unknown key",
         "did you mean max_turns?"),
        ("[limits.receive]\nobject_byte = 1\n", 3, "limits.receive.object_byte", "unknown limit",
         "did you mean object_bytes"),
        ('[[tool]]\ntools = ["a"]\n[[tool]]\ntools = []\n', 5, "tool[1].tools", "at least 1", None),
        ('[[tool]]\ntools = ["a"]\naction = "maybe"\n', 4, "tool[0].action", "'allow'", None),
        ('[[secret]]\nname = "a"\n', 2, "secret[0]", "exactly one of env, file and command", None),
        ('[[secret]]\nname = "a"\ncommand = []\n', 2, "secret[0]", "needs a program", None),
        ('[[mount]]\npath = "/x"\n', 2, "mount[0].name", "Field required", None),
        ("[trust]\nsignature_required = true\n", 2, "trust", "needs allowed_signers_file", None),
        ('[[network]]\nhosts = ["A B"]\n', 3, "network[0].hosts[0]", "match", None),
        ("[capabilities.Shell]\n", 2, "capabilities.Shell", "not a name", None),
        ("[bundles]\nzzzzzz = 1\n", 3, "bundles.zzzzzz", "unknown key", "known: "),
    ],
)  # fmt: skip
def test_mistakes_name_line_key_and_what_may_be_meant(text, line, key, message, hint):
    _, problems = problems_of("schema = 1\n" + text)
    assert [problem["key"] for problem in problems] == [key]
    assert problems[0]["line"] == line
    assert message in problems[0]["message"]
    assert (problems[0]["hint"] or "").startswith(hint or "")


def test_a_key_that_steers_a_terminal_is_told_spelt_out():
    error, problems = problems_of('schema = 1\n[bundles]\n"\\u001b[31m\\u202e" = 1\n')
    assert problems[0]["key"] == r"bundles.\x1b[31m\u202e"
    assert error.message.isprintable()


def test_all_mistakes_are_told_at_once():
    error, problems = problems_of('schema = 2\n[x]\n[[mount]]\nname = "a"\n')
    assert {problem["key"] for problem in problems} == {"schema", "x", "mount[0].path"}
    assert "(and 2 more)" in error.message


def test_a_wrong_path_is_not_repeated():
    error, problems = problems_of('schema = 1\n[[mount]]\nname = "a"\npath = "canary/relative"\n')
    assert "canary" not in str(error) + str(problems)


def test_the_schema_number_is_needed():
    _, problems = problems_of("")
    assert problems[0]["key"] == "schema"


def test_line_ends_of_windows_are_fine():
    assert parse_host_policy(GOOD.replace("\n", "\r\n").encode())


def test_an_empty_policy_grants_nothing():
    policy = parse_host_policy(b"schema = 1\n")
    assert policy == HostPolicy(schema=1)
    assert policy.bundles.workspaces == ()
    assert policy.bundles.required_for == ("always",)


def test_receive_limits_are_the_defaults_with_what_is_set():
    limits = receive_limits(parse_host_policy(b"schema = 1\n[limits.receive]\nobjects = 7\n"))
    assert limits.objects == 7
    assert limits.object_bytes == DEFAULT_LIMITS.object_bytes


def test_receive_limits_are_checked_for_policies_made_otherwise():
    policy = HostPolicy.model_validate({"schema": 1, "limits": {"receive": {"objcts": 1}}})
    with pytest.raises(InvalidHostPolicyError, match="unknown limit") as caught:
        receive_limits(policy)
    assert "did you mean objects" in caught.value.hint


# --- the holder ---


def test_a_runtime_does_not_start_on_a_broken_policy(place):
    path = write(place, "schema = 9\n")
    with pytest.raises(InvalidHostPolicyError):
        PolicyHolder(path, state_directory=place.parent / "state")


def test_a_new_file_comes_into_force(place):
    path = write(place)
    holder = PolicyHolder(path, state_directory=place.parent / "state")
    before = holder.current
    write(place, GOOD.replace("acme", "other"))
    assert holder.current is before, "not before it is told to"
    assert holder.reload().policy.bundles.workspaces == ("other",)
    assert holder.last_error is None


def test_a_broken_new_file_leaves_the_old_rules_in_force(place):
    path = write(place)
    holder = PolicyHolder(path, state_directory=place.parent / "state")
    before = holder.current
    write(place, "[broken")
    assert holder.reload() is before
    assert holder.last_error is not None
    assert holder.last_error.code == "invalid_host_policy"
    write(place)
    holder.reload()
    assert holder.last_error is None


POLICIES = sorted((Path(__file__).parents[4] / "fixtures" / "policies").glob("*.toml"))


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.stem)
def test_the_example_policies_load(path):
    policy = parse_host_policy(path.read_bytes(), file=path.name)
    assert policy.bundles.workspaces or policy.bundles.builtin_fallback
    receive_limits(policy)


def test_there_are_examples():
    assert len(POLICIES) >= 6


DOCUMENT = Path(__file__).parents[4] / "docs" / "policy.md"
EXAMPLES = re.findall(r"```toml host-policy\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)


@pytest.mark.parametrize("text", EXAMPLES)
def test_the_examples_of_the_document_load(text):
    policy = parse_host_policy(f"schema = 1\n{text}".encode(), file="docs/policy.md")
    assert policy != HostPolicy(schema=1)


def test_the_document_shows_every_section_and_names_every_key():
    shown = "".join(EXAMPLES)
    for section, info in HostPolicy.model_fields.items():
        if section == "schema_number":
            continue
        assert re.search(rf"^\[\[?{section}\b", shown, re.MULTILINE), section
        models = [found for found in (info.annotation, *typing.get_args(info.annotation))
                  if isinstance(found, type) and issubclass(found, BaseModel)]  # fmt: skip
        for key in models[0].model_fields:
            assert f"`{key}" in DOCUMENT.read_text("utf-8") or key in shown, key
