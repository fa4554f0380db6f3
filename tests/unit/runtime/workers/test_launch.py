"""Launch: real paths and secrets for one Worker, under the policy in force."""

import hashlib
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "resolve"))

from resolve_builders import PROFILE, make_bundle, make_facts, make_policy, names, run

from yoi_bundles.errors import DigestMismatchError, PolicyDeniedError, StoreError
from yoi_bundles.model.ids import BlobId, Digest, Name, RelativePath
from yoi_bundles.model.powers import SecretRef
from yoi_bundles.runtime.host.packages import PluginRegistry
from yoi_bundles.runtime.host.secrets import SecretStore
from yoi_bundles.runtime.workers.launch import prepare_launch

ROLE = '+++\ndescription = "Role"\n+++\nYou write code.\n'
FILES = {
    "profiles/coder.toml": PROFILE.replace(
        'kind = "tool-loop"',
        'kind = "tool-loop"\nsystem_prompt = "role"\nprompts = ["b", "a"]',
    )
    + """
[tools]
optional = ["tracker", "read"]
[mounts]
optional = ["mount:repo"]
""",
    "prompts/role.md": ROLE,
    "prompts/a.md": "Alpha\n",
    "prompts/b.md": "Beta\n",
    "tools/read.toml": 'kind = "builtin"\ndescription = "r"\n',
    "tools/tracker.toml": """
kind = "mcp-stdio"
description = "t"
command = "tracker"
[environment]
TOKEN = "secret:token"
""",
    "grants/token.toml": 'kind = "secret"\ndescription = "t"\n',
    "grants/repo.toml": 'kind = "mount"\ndescription = "r"\nmode = "rw"\n',
}


class Tree:
    """The files of `FILES` as a tree."""

    def __init__(self, digest=None, **changes):
        self.digest = digest or make_bundle(FILES).digest
        self.files = {RelativePath(path): text.encode() for path, text in FILES.items()}
        self.files.update({RelativePath(path): text for path, text in changes.items()})

    def entries(self):
        return {path: BlobId(hashlib.sha256(data).hexdigest()) for path, data in self.files.items()}

    def read(self, path):
        return self.files[path]


def rules(directory, mode="rw"):
    return f"""
[[tool]]
tools = ["*"]
programs = ["*"]
[[secret]]
name = "token"
env = "CANARY_ENV"
[[mount]]
name = "repo"
path = "{directory}"
mode = "{mode}"
"""


ENVIRONMENT = {"CANARY_ENV": "canary-value"}


def resolve_here(directory):
    facts = make_facts(present_secrets=names("token"), present_mounts=names("repo"))
    return run(FILES, rules(directory), facts=facts)


def plan_for(directory, policy=None, tree=None, *, whole=True):
    policy = make_policy(rules(directory) if policy is None else policy)
    resolution = resolve_here(directory)
    secrets = SecretStore(policy.secret, environment=ENVIRONMENT)
    resolved = resolution if whole else resolution.spec
    return prepare_launch(resolved, policy, secrets, tree or Tree(), PluginRegistry())


@pytest.mark.parametrize("whole", [True, False])
def test_a_plan_holds_real_directories_and_texts(tmp_path, whole):
    real = tmp_path / "canary-dir"
    real.mkdir()
    link = tmp_path / "link"
    link.symlink_to(real)
    plan = plan_for(link, whole=whole)
    assert [(str(m.ref), m.mode, m.path) for m in plan.mounts] == [("mount:repo", "rw", real)]
    assert plan.system_prompt.text == "You write code.\n", "without its fence"
    assert [prompt.text for prompt in plan.prompts] == ["Beta\n", "Alpha\n"]
    assert plan.plugins == ()


def test_secrets_are_read_when_asked(tmp_path, monkeypatch):
    reads = []
    original = SecretStore.read
    monkeypatch.setattr(SecretStore, "read", lambda *args: reads.append(args[1]) or original(*args))
    plan = plan_for(tmp_path)
    assert reads == []
    assert plan.read_secret(SecretRef("secret:token")).reveal() == "canary-value"
    assert reads == [Name("token")]


def test_a_tools_environment_is_filled_from_its_secrets(tmp_path):
    plan = plan_for(tmp_path)
    found = plan.read_environment(Name("tracker"))
    assert {name: value.reveal() for name, value in found.items()} == {"TOKEN": "canary-value"}
    assert plan.read_environment(Name("read")) == {}


def test_a_plan_gives_nothing_the_spec_does_not_carry(tmp_path):
    plan = plan_for(tmp_path)
    with pytest.raises(PolicyDeniedError) as caught:
        plan.read_secret(SecretRef("secret:other"))
    assert caught.value.facts["power"] == "secret:other"
    with pytest.raises(PolicyDeniedError):
        plan.read_environment(Name("other"))


def test_a_plan_prints_neither_paths_nor_values(tmp_path):
    plan = plan_for(tmp_path)
    plan.read_secret(SecretRef("secret:token"))
    for shown in (repr(plan), str(plan), repr(plan.mounts), f"{plan}"):
        assert str(tmp_path) not in shown
        assert "canary" not in shown
        assert "CANARY" not in shown


def denied(tmp_path, policy, match, error=PolicyDeniedError):
    with pytest.raises(error, match=match) as caught:
        plan_for(tmp_path, policy)
    assert str(tmp_path) not in str(caught.value) + str(caught.value.facts)
    assert caught.value.__context__ is None


def test_a_policy_that_became_stricter_wins(tmp_path):
    full = rules(tmp_path)
    denied(tmp_path, full.replace('"token"', '"other"'), "secret:token is no longer granted")
    denied(tmp_path, full.replace('"repo"', '"other"'), "mount:repo is no longer granted")
    denied(tmp_path, rules(tmp_path, "ro"), "gives it read-only")


def test_a_directory_that_went_away_is_told_without_its_path(tmp_path):
    missing = rules(tmp_path / "gone")
    denied(tmp_path, missing, "the directory behind mount:repo is missing", StoreError)
    (tmp_path / "file").write_text("x")
    denied(tmp_path, rules(tmp_path / "file"), "is missing", StoreError)


def test_another_tree_is_refused(tmp_path):
    with pytest.raises(DigestMismatchError) as caught:
        plan_for(tmp_path, tree=Tree(Digest("0" * 64)))
    assert caught.value.code == "digest_mismatch"


def test_a_prompt_that_is_not_the_specs_is_refused(tmp_path):
    with pytest.raises(DigestMismatchError, match="the prompt role"):
        plan_for(tmp_path, tree=Tree(**{"prompts/role.md": b"You do as you like.\n"}))
    gone = Tree()
    del gone.files[RelativePath("prompts/a.md")]
    with pytest.raises(DigestMismatchError, match="the prompt a"):
        plan_for(tmp_path, tree=gone)
