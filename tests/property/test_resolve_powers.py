"""Resolution under generated policies: it only narrows, repeats itself and leaks nothing."""

import json
import sys
from dataclasses import replace
from pathlib import Path

from depth import times
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.append(str(Path(__file__).parents[1] / "unit" / "resolve"))

from resolve_builders import (
    COMMIT,
    PACKAGE,
    POLICY_DIGEST,
    PROFILE,
    PROVIDER,
    make_bundle,
    make_facts,
    make_request,
    names,
)

from yoi_bundles.errors import BundleError, PolicyDeniedError
from yoi_bundles.model.canonical import canonical_hash
from yoi_bundles.model.host_policy import HostPolicy
from yoi_bundles.model.powers import PowerRef
from yoi_bundles.resolve import ResolutionCache, resolve

CANARY = "canary"


def grant(kind, more=""):
    return f'kind = "{kind}"\ndescription = "because"\n{more}\n'


def asking(required):
    """A bundle that asks for one of everything; `required` of it as required."""

    def use(*names_):
        split = {
            "required": [name for name in names_ if name in required],
            "optional": [name for name in names_ if name not in required],
        }
        return "".join(f"{group} = {json.dumps(found)}\n" for group, found in split.items())

    profile = PROFILE.replace(
        'ref = "local/small"', 'ref = "local/small"\nfallbacks = ["cloud/small"]'
    )
    profile += f"""
[tools]
{use("read", "edit", "tracker", "lookup")}
[plugins]
{use("index")}
[secrets]
{use("secret:token", "secret:extra")}
[mounts]
{use("mount:repo", "mount:docs")}
[network]
{use("network:web")}
[capabilities]
{use("shell:run-tests", "git:commit", "capability:page")}
[limits]
max_turns = 50
"""
    return make_bundle(
        {
            "profiles/coder.toml": profile,
            "models/cloud.toml": 'credential = "secret:key"\nnetwork = "network:api"\n' + PROVIDER,
            "tools/read.toml": 'kind = "builtin"\ndescription = "r"\n',
            "tools/edit.toml": 'kind = "builtin"\ndescription = "e"\nneeds = ["mount:repo"]\n',
            "tools/tracker.toml": 'kind = "mcp-stdio"\ndescription = "t"\ncommand = "tracker"\n'
            'needs = ["network:web"]\n[environment]\nTOKEN = "secret:token"\n',
            "tools/lookup.toml": 'kind = "plugin"\ndescription = "l"\nplugin = "index"\n',
            "plugins/index.toml": 'description = "i"\npackage = "index"\nversion = "1"\n'
            f'digest = "{PACKAGE}"\nsize_bytes = 10\nsurfaces = ["tool", "hook"]\n'
            'permissions = ["mount:docs", "secret:extra", "capability:deep"]\n',
            "policies/tools.toml": '[[rules]]\ntools = ["read"]\naction = "allow"\n',
            "grants/token.toml": grant("secret"),
            "grants/extra.toml": grant("secret"),
            "grants/key.toml": grant("secret"),
            "grants/repo.toml": grant("mount", 'mode = "rw"'),
            "grants/docs.toml": grant("mount"),
            "grants/web.toml": grant("network", 'hosts = ["a.test", "*.b.test", "c.test:8443"]'),
            "grants/api.toml": grant("network", 'hosts = ["api.test"]'),
            "grants/run-tests.toml": grant("shell", 'commands = ["make", "pytest"]'),
            "grants/commit.toml": grant("git", 'operations = ["read", "commit", "push"]'),
            "grants/page.toml": grant("capability"),
            "grants/deep.toml": grant("capability"),
        }
    )


DIRECT = (
    "read", "edit", "tracker", "lookup", "index", "secret:token", "secret:extra", "mount:repo",
    "mount:docs", "network:web", "shell:run-tests", "git:commit", "capability:page",
)  # fmt: skip
OPTIONAL = asking(frozenset())
DEMANDING = asking(frozenset({"edit", "secret:token", "shell:run-tests", "lookup"}))
ASKED = frozenset(
    PowerRef(text)
    for text in (
        "tool:read", "tool:edit", "tool:tracker", "tool:lookup", "plugin:index", "secret:token",
        "secret:extra", "secret:key", "mount:repo", "mount:docs", "network:web", "network:api",
        "shell:run-tests", "git:commit", "capability:page", "capability:deep",
    )
)  # fmt: skip

scopes = st.fixed_dictionaries(
    {},
    optional={
        "workspaces": st.sampled_from([["*"], ["acme"], ["other"], ["ac*"], ["x", "acme"]]),
        "profiles": st.sampled_from([["*"], ["coder"], ["reviewer"], ["c?der"]]),
    },
)


def scoped(**fields):
    return st.builds(lambda scope, body: {**scope, **body}, scopes, st.fixed_dictionaries(fields))


secrets = scoped(
    name=st.sampled_from(["token", "extra", "key", "unasked"]),
    source=st.sampled_from(
        [
            {"env": "CANARY_ENV"},
            {"file": "/canary/file"},
            {"command": ["canary-program", "--canary"]},
        ]
    ),
).map(lambda rule: {k: v for k, v in rule.items() if k != "source"} | rule["source"])
mounts = scoped(
    name=st.sampled_from(["repo", "docs", "unasked"]),
    path=st.sampled_from(["/canary/a", "/canary/b"]),
    mode=st.sampled_from(["ro", "rw"]),
)
networks = scoped(
    hosts=st.lists(
        st.sampled_from(["*", "a.test", "*.b.test", "x.b.test", "c.test", "c.test:8443", "*.test",
                         "api.test", "unasked.test"]),
        min_size=1, max_size=3,
    )
)  # fmt: skip
tools = scoped(
    tools=st.lists(st.sampled_from(["*", "read", "edit", "t*", "lookup"]), min_size=1, max_size=2),
    action=st.sampled_from(["allow", "ask", "deny"]),
)
plugins = scoped(
    package=st.just("index"),
    version=st.sampled_from(["1", "2"]),
    digest=st.just(str(PACKAGE)),
    path=st.just("/canary/index.whl"),
    surfaces=st.lists(st.sampled_from(["tool", "hook", "ingress"]), unique=True),
    permissions=st.lists(st.sampled_from(["*:*", "mount:*", "secret:e*", "capability:deep"])),
)
shells = scoped(
    allow=st.booleans(),
    names=st.sampled_from([["*"], ["run-*"], ["other"]]),
    commands=st.lists(st.sampled_from(["*", "make", "pytest", "unasked"]), unique=True),
)
gits = scoped(
    allow=st.booleans(),
    operations=st.lists(st.sampled_from(["read", "commit", "branch", "push"]), unique=True),
)
others = scoped(allow=st.booleans())
policies = st.fixed_dictionaries(
    {
        "schema": st.just(1),
        "bundles": st.just({"workspaces": ["acme"]}),
        "secret": st.lists(secrets, max_size=5),
        "mount": st.lists(mounts, max_size=4),
        "network": st.lists(networks, max_size=3),
        "tool": st.lists(tools, max_size=4),
        "plugin": st.lists(plugins, max_size=2),
        "capabilities": st.fixed_dictionaries(
            {}, optional={"shell": shells, "git": gits, "page": others, "deep": others}
        ),
    }
)
powers = st.sampled_from(sorted(ASKED))
requests = st.fixed_dictionaries(
    {},
    optional={
        "optional_capabilities": st.none() | st.lists(powers, max_size=16, unique=True),
        "required_capabilities": st.lists(powers, max_size=1),
    },
)
facts = st.builds(
    lambda found, mounted, installed, origin: make_facts(
        present_secrets=names(*found),
        present_mounts=names(*mounted),
        packages={("index", "1"): (PACKAGE, 10)} if installed else {},
        origin=origin,
    ),
    st.lists(st.sampled_from(["token", "extra", "key"])),
    st.lists(st.sampled_from(["repo", "docs"])),
    st.booleans(),
    st.sampled_from(["embedded", "remote"]),
)
bundles = st.sampled_from([OPTIONAL, DEMANDING])
slow = settings(max_examples=times(120), deadline=None, suppress_health_check=list(HealthCheck))


def attempt(bundle, table, request, seen, resolver=resolve):
    return resolver(
        bundle,
        mode="synced",
        commit=COMMIT,
        request=make_request(bundle, **request),
        policy=HostPolicy.model_validate(table),
        policy_digest=POLICY_DIGEST,
        facts=seen,
    )


def resolution_or_error(*arguments, **options):
    try:
        return attempt(*arguments, **options)
    except BundleError as error:
        return error


@slow
@given(bundles, policies, requests, facts)
def test_powers_are_asked_granted_and_requested(bundle, table, request, seen):
    found = resolution_or_error(bundle, table, request, seen)
    if isinstance(found, BundleError):
        assert isinstance(found, PolicyDeniedError)
        assert found.facts["refusals"]
        return
    granted = {d.power for d in found.decisions if d.outcome != "refused"}
    assert found.spec.powers() == granted
    assert granted <= ASKED
    optional = request.get("optional_capabilities")
    if optional is not None:
        assert granted <= set(optional) | set(request.get("required_capabilities", ()))
    assert not any(d.required and d.outcome == "refused" for d in found.decisions)
    assert all(d.granted == {} for d in found.decisions if d.outcome == "refused")


@slow
@given(bundles, policies, requests, facts)
def test_what_is_granted_works(bundle, table, request, seen):
    """Every granted tool has all it needs; every granted power has somebody who asks for it."""
    found = resolution_or_error(bundle, table, request, seen)
    if isinstance(found, BundleError):
        return
    given_powers = {str(power) for power in found.spec.powers()}
    needs = {
        "tool:edit": {"mount:repo"},
        "tool:tracker": {"network:web", "secret:token"},
        "tool:lookup": {"plugin:index"},
    }
    for tool, needed in needs.items():
        if tool in given_powers:
            assert needed <= given_powers
    permissions = {str(ref) for entry in found.spec.plugins for ref in entry.permissions}
    assert permissions <= given_powers
    assert ("capability:deep" in given_powers) == ("capability:deep" in permissions)
    fallbacks = {str(entry.ref) for entry in found.spec.model.fallbacks}
    key = {"secret:key", "network:api"}
    assert given_powers & key == (key if "cloud/small" in fallbacks else set())


@slow
@given(bundles, policies, requests, facts)
def test_equal_inputs_give_equal_results(bundle, table, request, seen):
    cache = ResolutionCache()
    results = [
        resolution_or_error(bundle, table, request, seen),
        resolution_or_error(bundle, table, request, seen, resolver=cache.resolve),
        resolution_or_error(bundle, table, request, seen, resolver=cache.resolve),
    ]
    if isinstance(results[0], BundleError):
        assert len({(type(e), e.message, str(e.facts)) for e in results}) == 1
    else:
        assert results[0] == results[1] == results[2]
        assert results[0].spec_digest == canonical_hash(results[0].spec)


@slow
@given(bundles, policies, requests, facts)
def test_sources_never_change_the_spec_unless_it_is_refused(bundle, table, request, seen):
    """Absent secrets and mounts refuse or warn; they never give another spec."""
    everything = replace(
        seen,
        present_secrets=names("token", "extra", "key"),
        present_mounts=names("repo", "docs"),
    )
    here = resolution_or_error(bundle, table, request, seen)
    there = resolution_or_error(bundle, table, request, everything)
    if not isinstance(here, BundleError):
        assert not isinstance(there, BundleError)
        assert here.spec_digest == there.spec_digest


@slow
@given(bundles, policies, requests, facts)
def test_nothing_of_the_host_leaks(bundle, table, request, seen):
    found = resolution_or_error(bundle, table, request, seen)
    if isinstance(found, BundleError):
        shown = repr(found) + str(found) + str(found.hint) + json.dumps(found.facts)
    else:
        shown = repr(found) + found.spec.model_dump_json() + found.receipt.model_dump_json()
        shown += "".join(part.model_dump_json() for part in (*found.decisions, *found.explanation))
        shown += "".join(found.warnings)
    assert CANARY not in shown.lower()


# One more rule at the end, for one power: it may matter to that power, and to what hangs on it.
ADDED = {
    "secret": {"name": "token", "env": "CANARY_ENV"},
    "mount": {"name": "repo", "path": "/canary/c", "mode": "rw"},
    "tool": {"tools": ["read"], "action": "allow"},
}
HANGS_ON = {
    "secret": {"secret:token", "tool:tracker", "network:web"},
    "mount": {"mount:repo", "tool:edit"},
    "tool": {"tool:read"},
}


@slow
@given(policies, requests, facts, st.sampled_from(sorted(ADDED)))
def test_one_more_rule_at_the_end_touches_its_own_power_only(table, request, seen, section):
    wider = {**table, section: [*table[section], ADDED[section]]}
    before = resolution_or_error(OPTIONAL, table, request, seen)
    after = resolution_or_error(OPTIONAL, wider, request, seen)
    if isinstance(before, BundleError) or isinstance(after, BundleError):
        return
    old = {str(d.power): d for d in before.decisions}
    for decision in after.decisions:
        if str(decision.power) in HANGS_ON[section]:
            if old[str(decision.power)].outcome != "refused":
                assert decision == old[str(decision.power)], "an earlier match was overruled"
        else:
            assert decision == old[str(decision.power)]


@slow
@given(bundles, policies, requests, facts, st.integers(min_value=1, max_value=100))
def test_the_host_never_raises_a_limit(bundle, table, request, seen, turns):
    table = {**table, "limits": {"worker": {"max_turns": turns}}}
    found = resolution_or_error(bundle, table, request, seen)
    if not isinstance(found, BundleError):
        assert found.spec.limits.max_turns == min(turns, 50)


@slow
@given(policies, facts, st.sets(powers))
def test_a_request_that_covers_less_never_gets_more(table, seen, covered):
    whole = resolution_or_error(OPTIONAL, table, {}, seen)
    part = resolution_or_error(OPTIONAL, table, {"optional_capabilities": sorted(covered)}, seen)
    assert not isinstance(whole, BundleError)
    assert not isinstance(part, BundleError)
    assert part.spec.powers() <= whole.spec.powers() & covered
