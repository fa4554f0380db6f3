"""Verdicts: what each section of a host policy gives, narrows and refuses."""

import pytest
from resolve_builders import PACKAGE, PROFILE, make_facts, names, run

from yoi_bundles.errors import InvalidManifestError, PolicyDeniedError
from yoi_bundles.model.ids import ContentHash
from yoi_bundles.model.powers import PowerRef


def grant(kind, more=""):
    return f'kind = "{kind}"\ndescription = "because"\n{more}\n'


SECTIONS = {
    "secret": "secrets",
    "mount": "mounts",
    "network": "network",
    "shell": "capabilities",
    "git": "capabilities",
    "capability": "capabilities",
}


def asking(power, more="", group="optional"):
    """The files of a bundle whose profile asks for one power."""
    kind, name = power.split(":")
    section = SECTIONS[kind]
    return {
        "profiles/coder.toml": f'{PROFILE}\n[{section}]\n{group} = ["{power}"]\n',
        f"grants/{name}.toml": grant(kind, more),
    }


def decide(files, policy="", **more):
    """The decisions of a resolution by power."""
    return {str(decision.power): decision for decision in run(files, policy, **more).decisions}


def told(decision):
    return decision.outcome, decision.rule


HERE = make_facts(present_secrets=names("token"), present_mounts=names("repo"))


# --- secrets ---


def test_a_secret_no_rule_names_is_denied():
    assert told(decide(asking("secret:token"))["secret:token"]) == ("refused", "default-deny")


def test_a_secret_is_given_by_the_first_rule_in_scope():
    policy = """
    [[secret]]
    name = "token"
    env = "A"
    workspaces = ["other"]
    [[secret]]
    name = "token"
    env = "B"
    """
    decision = decide(asking("secret:token"), policy, facts=HERE)["secret:token"]
    assert told(decision) == ("granted", "secret[1]")
    assert run(asking("secret:token"), policy, facts=HERE).spec.powers() == {
        PowerRef("secret:token")
    }


SECRET = '[[secret]]\nname = "token"\nenv = "A"\n'


def test_a_required_secret_without_a_source_is_refused():
    with pytest.raises(PolicyDeniedError) as caught:
        run(asking("secret:token", group="required"), SECRET)
    assert caught.value.facts["refusals"][0]["rule"] == "host-facts"
    assert "supply what secret[0] names" in caught.value.hint


def test_an_optional_secret_without_a_source_is_granted_with_a_warning():
    absent = run(asking("secret:token"), SECRET)
    present = run(asking("secret:token"), SECRET, facts=HERE)
    assert absent.spec_digest == present.spec_digest
    assert "secret:token is granted by secret[0], but its source is missing" in absent.warnings[0]
    assert present.warnings == ()


def test_facts_tell_rules_of_one_name_apart():
    facts = make_facts(present_secrets=names("token"), absent_rules=frozenset({"secret[0]"}))
    with pytest.raises(PolicyDeniedError):
        run(asking("secret:token", group="required"), SECRET, facts=facts)


# --- mounts ---


@pytest.mark.parametrize(
    ("asked", "given", "outcome", "mode"),
    [
        ("ro", "ro", "granted", "ro"),
        ("ro", "rw", "granted", "ro"),
        ("rw", "ro", "narrowed", "ro"),
        ("rw", "rw", "granted", "rw"),
    ],
)
def test_a_mount_is_given_in_the_narrower_mode(asked, given, outcome, mode):
    policy = f'[[mount]]\nname = "repo"\npath = "/srv/repo"\nmode = "{given}"\n'
    result = run(asking("mount:repo", f'mode = "{asked}"'), policy, facts=HERE)
    assert told(result.decisions[0]) == (outcome, "mount[0]")
    assert result.decisions[0].granted == {"mode": mode}
    assert result.spec.mounts[0].mode == mode


def test_a_mount_follows_the_rules_of_secrets():
    policy = '[[mount]]\nname = "repo"\npath = "/srv/repo"\n'
    assert told(decide(asking("mount:repo"))["mount:repo"]) == ("refused", "default-deny")
    assert "mount:repo" in run(asking("mount:repo"), policy).warnings[0]
    with pytest.raises(PolicyDeniedError) as caught:
        run(asking("mount:repo", group="required"), policy)
    assert caught.value.facts["refusals"][0]["rule"] == "host-facts"


# --- network ---

HOSTS = 'hosts = ["a.test", "b.test:8443", "*.c.test"]'


@pytest.mark.parametrize(
    ("rules", "outcome", "rule", "hosts"),
    [
        ([], "refused", "default-deny", None),
        (["z.test"], "refused", "default-deny", None),
        (["a.test"], "narrowed", "network[0]", ("a.test",)),
        (["z.test", "a.test", "*.c.test"], "narrowed", "network[1], network[2]",
         ("*.c.test", "a.test")),
        (["*"], "granted", "network[0]", ("*.c.test", "a.test", "b.test:8443")),
        (["*.test"], "narrowed", "network[0]", ("*.c.test", "a.test")),
    ],
)  # fmt: skip
def test_each_host_is_covered_by_the_first_rule_that_fits(rules, outcome, rule, hosts):
    policy = "".join(f'[[network]]\nhosts = ["{host}"]\n' for host in rules)
    decision = decide(asking("network:web", HOSTS), policy)["network:web"]
    assert told(decision) == (outcome, rule)
    assert decision.granted == ({} if hosts is None else {"hosts": hosts})


def test_any_host_of_a_rule_may_cover_and_equal_hosts_count_once():
    files = asking("network:web", 'hosts = ["a.test", "a.test"]')
    decision = decide(files, '[[network]]\nhosts = ["z.test", "a.test"]\n')["network:web"]
    assert told(decision) == ("granted", "network[0]")
    assert decision.granted == {"hosts": ("a.test",)}


def test_a_network_rule_out_of_scope_covers_nothing():
    policy = '[[network]]\nhosts = ["*"]\nprofiles = ["reviewer"]\n'
    decision = decide(asking("network:web", HOSTS), policy)["network:web"]
    assert told(decision) == ("refused", "default-deny")


# --- shell and git ---


@pytest.mark.parametrize(
    ("asked", "rule", "outcome", "name", "given"),
    [
        ('["make"]', None, "refused", "default-deny", None),
        ('["make"]', 'commands = ["make"]\nworkspaces = ["x"]', "refused", "default-deny", None),
        ('["make"]', 'commands = ["make"]\nnames = ["x"]', "refused", "default-deny", None),
        ('["make"]', 'allow = false\ncommands = ["*"]', "refused", "capabilities.shell", None),
        ('["make"]', "", "refused", "capabilities.shell", None),
        ('["make"]', 'commands = ["ls"]', "refused", "capabilities.shell", None),
        ('["make", "ls"]', 'commands = ["ls"]', "narrowed", "capabilities.shell", ("ls",)),
        ('["make"]', 'commands = ["make", "ls"]', "granted", "capabilities.shell", ("make",)),
        ('["make"]', 'commands = ["*"]', "granted", "capabilities.shell", ("make",)),
        ('["make", "ls", "make"]', 'commands = ["*"]', "granted", "capabilities.shell",
         ("ls", "make")),
        ('["*"]', 'commands = ["ls", "ls"]', "narrowed", "capabilities.shell", ("ls",)),
        ('["*"]', 'commands = ["ls", "cat"]', "narrowed", "capabilities.shell", ("cat", "ls")),
        ('["*", "ls"]', 'commands = ["*"]', "granted", "capabilities.shell", ("*",)),
        ('["ls"]', 'commands = ["ls"]\nnames = ["run-*"]', "granted", "capabilities.shell",
         ("ls",)),
    ],
)  # fmt: skip
def test_a_shell_gets_the_commands_both_sides_name(asked, rule, outcome, name, given):
    policy = "" if rule is None else f"[capabilities.shell]\n{rule}\n"
    result = run(asking("shell:run-tests", f"commands = {asked}"), policy)
    decision = result.decisions[0]
    assert told(decision) == (outcome, name)
    assert decision.granted == ({} if given is None else {"commands": given})
    assert [entry.commands for entry in result.spec.shell] == ([given] if given else [])


@pytest.mark.parametrize(
    ("operations", "outcome", "given"),
    [
        ("[]", "refused", None),
        ('["push"]', "refused", None),
        ('["branch", "read"]', "narrowed", ("read", "branch")),
        ('["branch", "commit", "read"]', "granted", ("read", "commit", "branch")),
    ],
)
def test_git_gets_the_operations_both_sides_name(operations, outcome, given):
    files = asking("git:commit", 'operations = ["commit", "branch", "read"]')
    decision = decide(files, f"[capabilities.git]\noperations = {operations}\n")["git:commit"]
    assert told(decision) == (outcome, "capabilities.git")
    assert decision.granted == ({} if given is None else {"operations": given})


def test_git_is_denied_by_default():
    files = asking("git:commit", 'operations = ["read"]')
    assert told(decide(files)["git:commit"]) == ("refused", "default-deny")


# --- other capabilities ---


@pytest.mark.parametrize(
    ("policy", "outcome", "rule"),
    [
        ("", "refused", "default-deny"),
        ("[capabilities.page]\n", "granted", "capabilities.page"),
        ("[capabilities.page]\nallow = false\n", "refused", "capabilities.page"),
        ('[capabilities.page]\nprofiles = ["x"]\n', "refused", "default-deny"),
        ("[capabilities.other]\n", "refused", "default-deny"),
    ],
)
def test_a_capability_needs_a_table_of_its_name(policy, outcome, rule):
    assert told(decide(asking("capability:page"), policy)["capability:page"]) == (outcome, rule)


@pytest.mark.parametrize("name", ["shell", "git"])
def test_no_capability_borrows_the_tables_of_shell_and_git(name):
    decision = decide(asking(f"capability:{name}"), f"[capabilities.{name}]\n")[
        f"capability:{name}"
    ]
    assert told(decision) == ("refused", "default-deny")


@pytest.mark.parametrize("name", ["shell", "git"])
def test_a_refusal_nothing_can_grant_has_no_hint(name):
    files = asking(f"capability:{name}", group="required")
    with pytest.raises(PolicyDeniedError) as caught:
        run(files, f"[capabilities.{name}]\n")
    assert caught.value.hint is None


# --- tools ---

TOOL = 'kind = "builtin"\ndescription = "Reads"\n'


def with_tool(policy_file=None, group="optional"):
    files = {
        "profiles/coder.toml": f'{PROFILE}\n[tools]\n{group} = ["read-file"]\n',
        "tools/read-file.toml": TOOL,
    }
    if policy_file is not None:
        files["policies/tools.toml"] = policy_file
    return files


def rule(action):
    return f'[[tool]]\ntools = ["read-*"]\naction = "{action}"\n'


ORDER = ["allow", "ask", "deny"]


@pytest.mark.parametrize("bundle", ORDER)
@pytest.mark.parametrize("host", ORDER)
def test_the_stricter_of_both_tool_policies_counts(bundle, host):
    result = run(with_tool(f'default = "{bundle}"'), rule(host))
    decision = result.decisions[0]
    effective = max(bundle, host, key=ORDER.index)
    if effective == "deny":
        assert decision.rule == ("tool[0]" if host == "deny" else "bundle-tool-policy")
        assert decision.outcome == "refused"
        assert result.spec.tools == ()
    else:
        outcome = "granted" if effective == bundle else "narrowed"
        assert told(decision) == (outcome, "tool[0]")
        assert result.spec.tools[0].action == effective


def test_a_tool_no_rule_names_is_denied():
    assert told(decide(with_tool())["tool:read-file"]) == ("refused", "default-deny")
    policy = '[[tool]]\ntools = ["*"]\nworkspaces = ["other"]\n'
    assert told(decide(with_tool(), policy)["tool:read-file"]) == ("refused", "default-deny")


def test_the_first_rule_of_the_bundles_policy_counts():
    policy_file = """
    default = "deny"
    [[rules]]
    tools = ["read-*"]
    profiles = ["reviewer"]
    action = "deny"
    [[rules]]
    tools = ["read-file"]
    action = "allow"
    [[rules]]
    tools = ["*"]
    action = "ask"
    """
    assert run(with_tool(policy_file), rule("allow")).spec.tools[0].action == "allow"


def test_a_bundle_without_a_tool_policy_asks():
    assert run(with_tool(), rule("allow")).spec.tools[0].action == "ask"


@pytest.mark.parametrize(
    ("programs", "is_given"),
    [(None, False), ('["*"]', True), ('["tracker"]', True), ("[]", False), ('["other"]', False)],
)
def test_a_tool_that_is_a_program_needs_it_named(programs, is_given):
    files = {
        "profiles/coder.toml": f'{PROFILE}\n[tools]\noptional = ["read-file"]\n',
        "tools/read-file.toml": 'kind = "mcp-stdio"\ndescription = "x"\ncommand = "tracker"\n',
    }
    policy = rule("allow") + (f"programs = {programs}\n" if programs else "")
    decision = decide(files, policy)["tool:read-file"]
    assert told(decision) == ("granted" if is_given else "refused", "tool[0]")


def test_programs_do_not_matter_to_other_tools():
    assert run(with_tool(), rule("allow") + "programs = []\n").spec.tools


# --- plugins ---


def with_plugin(surfaces='["tool", "hook"]', permissions="[]"):
    return {
        "profiles/coder.toml": f'{PROFILE}\n[plugins]\noptional = ["index"]\n',
        "plugins/index.toml": f"""
description = "Index"
package = "acme-index"
version = "1.0"
digest = "{PACKAGE}"
size_bytes = 10
surfaces = {surfaces}
permissions = {permissions}
""",
        "grants/cache.toml": grant("mount"),
        "grants/page.toml": grant("capability"),
    }


def plugin_rule(**changes):
    table = {
        "package": '"acme-index"',
        "version": '"1.0"',
        "digest": f'"{PACKAGE}"',
        "path": '"/opt/index.whl"',
        "surfaces": '["tool", "hook"]',
        **changes,
    }
    return "[[plugin]]\n" + "".join(f"{key} = {value}\n" for key, value in table.items())


INSTALLED = make_facts(packages={("acme-index", "1.0"): (PACKAGE, 10)})
OTHER = ContentHash("sha256:" + "6" * 64)


def test_a_pinned_and_installed_plugin_is_given():
    result = run(with_plugin(), plugin_rule(), facts=INSTALLED)
    assert told(result.decisions[0]) == ("granted", "plugin[0]")
    assert result.spec.plugins[0].surfaces == ("hook", "tool")


@pytest.mark.parametrize(
    "changes",
    [
        {"package": '"other"'},
        {"version": '"1.1"'},
        {"digest": f'"{OTHER}"'},
        {"profiles": '["reviewer"]'},
    ],
)
def test_a_rule_for_another_package_gives_nothing(changes):
    result = run(with_plugin(), plugin_rule(**changes), facts=INSTALLED)
    assert told(result.decisions[0]) == ("refused", "default-deny")
    assert result.spec.plugins == ()


@pytest.mark.parametrize(
    ("packages", "reason"),
    [
        ({}, "missing"),
        ({("acme-index", "1.0"): (OTHER, 10)}, "not the one that is pinned"),
        ({("acme-index", "1.0"): (PACKAGE, 11)}, "not the one that is pinned"),
    ],
)
def test_a_package_that_is_not_the_pinned_one_is_always_refused(packages, reason):
    result = run(with_plugin(), plugin_rule(), facts=make_facts(packages=packages))
    assert told(result.decisions[0]) == ("refused", "host-facts")
    assert result.decisions[0].reason == f"the package of plugin[0] is {reason} on this host"
    assert result.spec.plugins == ()


def test_surfaces_are_those_both_sides_name():
    result = run(with_plugin(), plugin_rule(surfaces='["hook", "ingress"]'), facts=INSTALLED)
    assert told(result.decisions[0]) == ("narrowed", "plugin[0]")
    assert result.spec.plugins[0].surfaces == ("hook",)


def test_a_surface_named_twice_counts_once():
    result = run(with_plugin('["tool", "tool"]'), plugin_rule(), facts=INSTALLED)
    assert told(result.decisions[0]) == ("granted", "plugin[0]")
    assert result.spec.plugins[0].surfaces == ("tool",)


def test_a_plugin_without_a_surface_is_refused():
    result = run(with_plugin(), plugin_rule(surfaces="[]"), facts=INSTALLED)
    assert told(result.decisions[0]) == ("refused", "plugin[0]")


PERMISSIONS = '["mount:cache", "capability:page"]'
POWERS = '[[mount]]\nname = "cache"\npath = "/var/cache/x"\n[capabilities.page]\n'


@pytest.mark.parametrize(
    ("globs", "policy", "permissions"),
    [
        ('["*:*"]', POWERS, ("capability:page", "mount:cache")),
        ('["mount:*"]', POWERS, ("mount:cache",)),
        ('["capability:p*"]', POWERS, ("capability:page",)),
        ("[]", POWERS, ()),
        ('["*:*"]', "[capabilities.page]\n", ("capability:page",)),
        ('["*:*"]', "", ()),
    ],
)
def test_permissions_are_those_the_rule_and_the_host_both_give(globs, policy, permissions):
    files = with_plugin(permissions=PERMISSIONS)
    result = run(files, policy + plugin_rule(permissions=globs), facts=INSTALLED)
    assert tuple(str(ref) for ref in result.spec.plugins[0].permissions) == permissions
    powers = {str(ref) for ref in result.spec.powers()}
    assert powers == {"plugin:index", *permissions}, "what only the plugin asked for went with it"
    decision = {str(d.power): d for d in result.decisions}["plugin:index"]
    assert decision.outcome == ("granted" if len(permissions) == 2 else "narrowed")


# --- references ---


@pytest.mark.parametrize("power", ["secret:gone", "shell:gone", "network:web"])
def test_a_power_the_bundle_does_not_declare_is_invalid(power):
    files = asking(power)
    files["grants/gone.toml"] = None
    files["grants/web.toml"] = grant("secret")
    with pytest.raises(InvalidManifestError, match="not declared") as caught:
        run(files)
    assert caught.value.facts == {"file": "profiles/coder.toml", "line": 11}


@pytest.mark.parametrize("section", ["tools", "plugins"])
def test_an_undeclared_tool_or_plugin_is_invalid(section):
    with pytest.raises(InvalidManifestError, match="not declared"):
        run({"profiles/coder.toml": f'{PROFILE}\n[{section}]\nrequired = ["gone"]\n'})
