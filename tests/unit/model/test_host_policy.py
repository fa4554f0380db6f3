"""Host policy as data: closed, and granting nothing unless it says so."""

import pytest
from pydantic import ValidationError

from yoi_bundles.model.host_policy import RUNTIME_FEATURES, HostFacts, HostPolicy

HASH = "sha256:" + "1" * 64
PLUGIN = {"package": "p", "version": "1", "digest": HASH, "path": "/p.whl"}


def make(**sections):
    return HostPolicy.model_validate({"schema": 1, **sections})


def test_an_empty_policy_grants_and_accepts_nothing():
    policy = make()
    assert policy.bundles.required_for == ("always",)
    assert not policy.bundles.builtin_fallback
    assert policy.bundles.workspaces == ()
    assert policy.capabilities == {}
    rules = (policy.network, policy.mount, policy.secret, policy.plugin, policy.tool)
    assert rules == ((), (), (), (), ())


def test_rules_default_to_the_least():
    policy = make(
        mount=[{"name": "m", "path": "/m"}],
        plugin=[PLUGIN],
        capabilities={"shell": {}, "git": {}},
    )
    assert policy.mount[0].mode == "ro"
    assert (policy.plugin[0].surfaces, policy.plugin[0].permissions) == ((), ())
    assert all(
        (rule.commands, rule.operations) == ((), ()) for rule in policy.capabilities.values()
    )


def test_a_rule_without_a_scope_holds_for_all():
    rule = make(tool=[{"tools": ["a"]}]).tool[0]
    assert (rule.workspaces, rule.profiles, rule.action) == (("*",), ("*",), "allow")


@pytest.mark.parametrize(
    "sections",
    [
        {"schema": 2},
        {"unknown": {}},
        {"bundles": {"required_for": ["sometimes"]}},
        {"bundles": {"stale_warn_seconds": 0}},
        {"bundles": {"workspaces": ["UPPER"]}},
        {"trust": {"signature_required": True}},
        {"trust": {"allowed_signers_file": "relative/file"}},
        {"trust": {"principals": {"Bad Name": ["a"]}}},
        {"limits": {"worker": {"max_turns": 0}}},
        {"limits": {"receive": {"objects": 0}}},
        {"capabilities": {"shell": {"commands": ["/bin/sh"]}}},
        {"capabilities": {"git": {"operations": ["force-push"]}}},
        {"network": [{"hosts": []}]},
        {"network": [{"hosts": ["http://a.test"]}]},
        {"network": [{"hosts": ["a.*.test"]}]},
        {"mount": [{"name": "m", "path": "relative"}]},
        {"mount": [{"name": "m", "path": "/a\nb"}]},
        {"mount": [{"name": "m", "path": "/a", "mode": "rwx"}]},
        {"secret": [{"name": "s"}]},
        {"secret": [{"name": "s", "env": "A", "file": "/a"}]},
        {"secret": [{"name": "s", "command": []}]},
        {"secret": [{"name": "s", "env": "A=B"}]},
        {"secret": [{"name": "s", "value": "inline"}]},
        {"plugin": [{**PLUGIN, "digest": "1" * 64}]},
        {"plugin": [{**PLUGIN, "surfaces": ["everything"]}]},
        {"plugin": [{**PLUGIN, "permissions": ["secret"]}]},
        {"tool": [{"tools": []}]},
        {"tool": [{"tools": ["a"], "action": "maybe"}]},
    ],
)
def test_what_is_not_a_rule_is_refused(sections):
    with pytest.raises(ValidationError) as caught:
        make(**sections)
    assert "input_value" not in str(caught.value), "values of the file are not repeated"


@pytest.mark.parametrize("path", ["/srv/x", "C:\\data", "D:/data"])
def test_paths_are_absolute_on_either_kind_of_system(path):
    assert make(mount=[{"name": "m", "path": path}]).mount[0].path == path


def test_facts_start_with_nothing_seen():
    facts = HostFacts()
    assert facts.present_secrets == facts.present_mounts == facts.absent_rules == frozenset()
    assert facts.features == frozenset()
    assert facts.origin == "embedded"
    assert {str(name) for name in RUNTIME_FEATURES} >= {"tool-loop", "tool-policy", "plugins"}
