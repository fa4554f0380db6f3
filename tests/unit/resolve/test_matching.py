"""Matching: globs, scopes and host patterns."""

import pytest
from resolve_builders import make_policy

from yoi_bundles.model.ids import Name, WorkspaceId
from yoi_bundles.resolve.matching import (
    Subject,
    covers_host,
    find_mount_rule,
    find_secret_rule,
    find_tool_rule,
)

CODER = Subject(WorkspaceId("acme"), Name("coder"))


@pytest.mark.parametrize(
    ("rule", "asked", "is_covered"),
    [
        ("a.test", "a.test", True),
        ("a.test", "b.test", False),
        ("a.test", "a.test:443", True),
        ("a.test:443", "a.test", True),
        ("a.test:0443", "a.test", True),
        ("a.test", "a.test:8443", False),
        ("a.test:8443", "a.test:8443", True),
        ("*", "a.test", True),
        ("*", "a.test:8443", True),
        ("*", "*.a.test", True),
        ("*.a.test", "x.a.test", True),
        ("*.a.test", "x.y.a.test", True),
        ("*.a.test", "a.test", False),
        ("*.a.test", "xa.test", False),
        ("*.a.test", "x.a.test.evil", False),
        ("*.a.test", "*.a.test", True),
        ("*.a.test", "*.b.a.test", True),
        ("*.b.a.test", "*.a.test", False),
        ("x.a.test", "*.a.test", False),
        ("*.a.test:8443", "x.a.test:8443", True),
        ("*.a.test:8443", "x.a.test", False),
        ("a.test:0", "a.test:0", True),
    ],
)
def test_a_host_pattern_covers_what_is_no_wider_than_itself(rule, asked, is_covered):
    assert covers_host(rule, asked) is is_covered


RULES = """
[[secret]]
name = "token"
env = "A"
workspaces = ["other"]
[[secret]]
name = "token"
env = "B"
profiles = ["rev*"]
[[secret]]
name = "token"
env = "C"
[[mount]]
name = "repo"
path = "/a"
workspaces = ["x"]
[[mount]]
name = "repo"
path = "/b"
[[tool]]
tools = ["edit*"]
action = "deny"
[[tool]]
tools = ["*"]
"""


@pytest.mark.parametrize(
    ("workspace", "profile", "index"),
    [("other", "reviewer", 0), ("acme", "reviewer", 1), ("acme", "coder", 2)],
)
def test_the_first_rule_in_scope_decides(workspace, profile, index):
    subject = Subject(WorkspaceId(workspace), Name(profile))
    found = find_secret_rule(make_policy(RULES).secret, Name("token"), subject)
    assert found is not None
    assert found[0] == index


def test_rules_are_found_by_name_too():
    policy = make_policy(RULES)
    assert find_secret_rule(policy.secret, Name("other"), CODER) is None
    assert find_mount_rule(policy.mount, Name("repo"), CODER)[0] == 1
    assert find_mount_rule(policy.mount, Name("docs"), CODER) is None
    assert find_tool_rule(policy, Name("edit-file"), CODER)[1].action == "deny"
    assert find_tool_rule(policy, Name("read-file"), CODER)[0] == 1
    assert find_tool_rule(make_policy(), Name("read-file"), CODER) is None
