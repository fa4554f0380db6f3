"""Decisions: what requests cover, what refusals pull along, and how they are told."""

import pytest
from resolve_builders import PACKAGE, PROFILE, PROVIDER, make_facts, make_policy, names, run

from yoi_bundles.errors import InvalidManifestError, PolicyDeniedError
from yoi_bundles.model.ids import Name, WorkspaceId
from yoi_bundles.resolve import merge_profile
from yoi_bundles.resolve.asks import collect_asks
from yoi_bundles.resolve.decisions import rule_powers
from yoi_bundles.resolve.matching import Subject
from yoi_bundles.resolve.verdicts import HostView

TRACKER = """
kind = "mcp-stdio"
description = "Issues"
command = "tracker"
external_write = true
needs = ["network:tracker"]
[environment]
TRACKER_TOKEN = "secret:token"
"""


def grant(kind, more=""):
    return f'kind = "{kind}"\ndescription = "because"\n{more}\n'


def with_tracker(group="optional", more=""):
    return {
        "profiles/coder.toml": f'{PROFILE}\n[tools]\n{group} = ["tracker"]\n{more}',
        "tools/tracker.toml": TRACKER,
        "grants/tracker.toml": grant("network", 'hosts = ["t.test", "u.test"]'),
        "grants/token.toml": grant("secret"),
        "grants/tool-tracker.toml": grant("tool", 'tool = "tracker"'),
    }


ALLOW_TOOL = '[[tool]]\ntools = ["*"]\nprograms = ["*"]\n'
SECRET = '[[secret]]\nname = "token"\nenv = "T"\n'
NETWORK = '[[network]]\nhosts = ["*"]\n'
ALL = ALLOW_TOOL + SECRET + NETWORK
HERE = make_facts(present_secrets=names("token", "key", "other"))


def outcomes(result):
    return {str(d.power): (d.outcome, d.rule) for d in result.decisions}


def powers(result):
    return {str(power) for power in result.spec.powers()}


# --- what is asked, and where ---


def test_a_tool_brings_what_it_needs_with_all_places():
    result = run(with_tracker(), ALL, facts=HERE)
    assert powers(result) == {"tool:tracker", "network:tracker", "secret:token"}
    places = {
        str(d.power): [f"{place.file}:{place.line}" for place in d.asked_by]
        for d in result.decisions
    }
    assert places == {
        "tool:tracker": ["profiles/coder.toml:11", "grants/tool-tracker.toml:3"],
        "network:tracker": ["tools/tracker.toml:6", "grants/tracker.toml:1"],
        "secret:token": ["tools/tracker.toml:8", "grants/token.toml:1"],
    }
    assert all(place.blob for d in result.decisions for place in d.asked_by)


def test_what_a_required_tool_needs_is_required():
    result = run(with_tracker("required"), ALL, facts=HERE)
    assert all(decision.required for decision in result.decisions)
    assert not any(d.required for d in run(with_tracker(), ALL, facts=HERE).decisions)


def test_a_power_in_both_lists_is_required():
    files = with_tracker("required", 'optional = ["tracker"]\n')
    decisions = run(files, ALL, facts=HERE).decisions
    assert {str(d.power): d.required for d in decisions}["tool:tracker"]


def test_decisions_stand_in_power_order():
    listed = [decision.power for decision in run(with_tracker(), ALL, facts=HERE).decisions]
    assert listed == sorted(listed)


# --- what refusals pull along ---


@pytest.mark.parametrize(
    ("policy", "cause"),
    [(ALLOW_TOOL + NETWORK, "secret:token"), (ALLOW_TOOL + SECRET, "network:tracker")],
)
def test_a_tool_falls_with_a_power_it_needs_and_takes_the_others_along(policy, cause):
    result = run(with_tracker(), policy, facts=HERE)
    assert powers(result) == set()
    told = {str(d.power): d.reason for d in result.decisions}
    assert told["tool:tracker"] == f"it needs {cause}, which is refused"
    other = ({"secret:token", "network:tracker"} - {cause}).pop()
    assert told[other] == "only what was refused asks for it"
    assert {rule for _, rule in outcomes(result).values()} == {"default-deny"}


def test_what_the_profile_asks_for_itself_stays():
    files = with_tracker(more='[secrets]\noptional = ["secret:token"]\n')
    assert powers(run(files, SECRET + NETWORK, facts=HERE)) == {"secret:token"}


def test_a_denied_tool_takes_its_needs_along_under_its_rule():
    policy = '[[tool]]\ntools = ["*"]\naction = "deny"\n' + SECRET + NETWORK
    result = run(with_tracker(), policy, facts=HERE)
    assert set(outcomes(result).values()) == {("refused", "tool[0]")}


def test_a_tool_whose_needs_are_narrowed_works_on():
    policy = ALLOW_TOOL + SECRET + '[[network]]\nhosts = ["t.test"]\n'
    result = run(with_tracker(), policy, facts=HERE)
    assert outcomes(result)["network:tracker"] == ("narrowed", "network[0]")
    assert "tool:tracker" in powers(result)


def test_tools_that_need_tools_fall_one_after_the_other():
    files = {
        "profiles/coder.toml": PROFILE + '\n[tools]\noptional = ["a"]\n',
        "tools/a.toml": 'kind = "builtin"\ndescription = "a"\nneeds = ["tool:b"]\n',
        "tools/b.toml": 'kind = "builtin"\ndescription = "b"\nneeds = ["tool:c", "tool:a"]\n',
        "tools/c.toml": 'kind = "builtin"\ndescription = "c"\nneeds = ["secret:token"]\n',
        "grants/token.toml": grant("secret"),
    }
    assert powers(run(files, ALLOW_TOOL, facts=HERE)) == set()
    full = {"tool:a", "tool:b", "tool:c", "secret:token"}
    assert powers(run(files, ALLOW_TOOL + SECRET, facts=HERE)) == full


# --- plugin tools ---

PLUGIN_TOOL = {
    "profiles/coder.toml": PROFILE + '\n[tools]\noptional = ["lookup"]\n',
    "tools/lookup.toml": 'kind = "plugin"\ndescription = "l"\nplugin = "index"\n',
    "plugins/index.toml": f"""
description = "Index"
package = "acme-index"
version = "1.0"
digest = "{PACKAGE}"
size_bytes = 10
surfaces = ["tool", "hook"]
permissions = ["secret:token"]
""",
    "grants/token.toml": grant("secret"),
    "grants/plugin-index.toml": grant("plugin", 'plugin = "index"'),
}
INSTALLED = make_facts(
    packages={("acme-index", "1.0"): (PACKAGE, 10)}, present_secrets=names("token")
)


def plugin_rule(surfaces='["tool", "hook"]'):
    return f"""
[[plugin]]
package = "acme-index"
version = "1.0"
digest = "{PACKAGE}"
path = "/opt/index.whl"
surfaces = {surfaces}
permissions = ["*:*"]
"""


def test_a_plugin_tool_asks_for_its_plugin():
    result = run(PLUGIN_TOOL, ALLOW_TOOL + SECRET + plugin_rule(), facts=INSTALLED)
    assert powers(result) == {"tool:lookup", "plugin:index", "secret:token"}
    places = {str(d.power): [str(p.file) for p in d.asked_by] for d in result.decisions}
    assert places["plugin:index"] == ["tools/lookup.toml", "grants/plugin-index.toml"]
    assert places["secret:token"] == ["plugins/index.toml", "grants/token.toml"]


def test_a_plugin_tool_needs_the_tool_surface():
    policy = ALLOW_TOOL + SECRET + plugin_rule('["hook"]')
    result = run(PLUGIN_TOOL, policy, facts=INSTALLED)
    assert powers(result) == set()
    assert outcomes(result)["tool:lookup"] == ("refused", "plugin[0]")


def test_a_tool_that_merely_needs_a_plugin_does_not_need_its_tool_surface():
    files = {
        **PLUGIN_TOOL,
        "tools/lookup.toml": 'kind = "builtin"\ndescription = "l"\nneeds = ["plugin:index"]\n',
    }
    policy = ALLOW_TOOL + SECRET + plugin_rule('["hook"]')
    assert powers(run(files, policy, facts=INSTALLED)) >= {"tool:lookup", "plugin:index"}


def test_permissions_are_optional_even_for_a_required_tool():
    profile = PROFILE + '\n[tools]\nrequired = ["lookup"]\n'
    files = {**PLUGIN_TOOL, "profiles/coder.toml": profile}
    result = run(files, ALLOW_TOOL + plugin_rule(), facts=INSTALLED)
    assert powers(result) == {"tool:lookup", "plugin:index"}
    assert {str(d.power): d.required for d in result.decisions} == {
        "tool:lookup": True,
        "plugin:index": True,
        "secret:token": False,
    }


def test_a_missing_tool_surface_is_told_with_a_hint():
    profile = PROFILE + '\n[tools]\nrequired = ["lookup"]\n'
    files = {**PLUGIN_TOOL, "profiles/coder.toml": profile}
    with pytest.raises(PolicyDeniedError, match="tool:lookup") as caught:
        run(files, ALLOW_TOOL + plugin_rule('["hook"]'), facts=INSTALLED)
    assert caught.value.hint == 'what would grant: [[plugin]] surfaces = ["tool"]'


# --- models ---


def with_models(fallbacks="[]"):
    return {
        "profiles/coder.toml": PROFILE.replace(
            'ref = "local/small"', f'ref = "cloud/big"\nfallbacks = {fallbacks}'
        ),
        "models/cloud.toml": PROVIDER + "",
        "models/second.toml": 'credential = "secret:other"\nnetwork = "network:tracker"\n'
        + PROVIDER,
        "grants/key.toml": grant("secret"),
        "grants/other.toml": grant("secret"),
        "grants/tracker.toml": grant("network", 'hosts = ["t.test"]'),
        "grants/api.toml": grant("network", 'hosts = ["api.test"]'),
    } | {
        "models/cloud.toml": 'credential = "secret:key"\nnetwork = "network:api"\n'
        + PROVIDER.replace("models.small", "models.big")
    }


KEY = '[[secret]]\nname = "key"\nenv = "K"\n'
API = '[[network]]\nhosts = ["api.test"]\n'


def test_the_main_model_needs_its_credential_and_network():
    result = run(with_models(), KEY + API, facts=HERE)
    assert powers(result) == {"secret:key", "network:api"}
    assert str(result.spec.model.credential) == "secret:key"
    with pytest.raises(PolicyDeniedError) as caught:
        run(with_models(), "", facts=HERE)
    assert [r["power"] for r in caught.value.facts["refusals"]] == ["network:api", "secret:key"]


def test_the_main_models_powers_are_always_within_the_request():
    result = run(with_models(), KEY + API, facts=HERE, optional_capabilities=())
    assert powers(result) == {"secret:key", "network:api"}


def test_a_fallback_without_its_powers_is_dropped_with_a_warning():
    files = with_models('["second/small", "local/small"]')
    result = run(files, KEY + API, facts=HERE)
    assert [str(model.ref) for model in result.spec.model.fallbacks] == ["local/small"]
    assert powers(result) == {"secret:key", "network:api"}
    assert result.warnings == (
        "the fallback model second/small was dropped: a power it needs is refused",
    )


def test_half_of_a_dropped_fallbacks_powers_are_not_given_either():
    policy = KEY + '[[network]]\nhosts = ["*"]\n'
    result = run(with_models('["second/small"]'), policy, facts=HERE)
    assert powers(result) == {"secret:key", "network:api"}
    assert outcomes(result)["network:tracker"] == ("refused", "default-deny")


def test_a_fallback_with_its_powers_stays():
    policy = KEY + '[[secret]]\nname = "other"\nenv = "O"\n[[network]]\nhosts = ["*"]\n'
    result = run(with_models('["second/small"]'), policy, facts=HERE)
    assert [str(model.ref) for model in result.spec.model.fallbacks] == ["second/small"]
    assert powers(result) == {"secret:key", "network:api", "secret:other", "network:tracker"}


@pytest.mark.parametrize(
    ("profile", "message"),
    [
        (PROFILE.replace('ref = "local/small"', ""), "names no model"),
        (PROFILE.replace("local/small", "local/gone"), "local/gone is not in the bundle"),
        (PROFILE.replace("local/small", "gone/small"), "gone/small is not in the bundle"),
        (PROFILE + 'fallbacks = ["gone/small"]\n', "gone/small is not in the bundle"),
    ],
)
def test_a_model_that_is_not_there_is_invalid(profile, message):
    with pytest.raises(InvalidManifestError, match=message) as caught:
        run({"profiles/coder.toml": profile})
    assert caught.value.facts["file"] == "profiles/coder.toml"
    assert caught.value.facts["line"] > 4


# --- requests ---


def test_a_request_may_cover_less_than_the_profile_asks():
    result = run(with_tracker(), ALL, facts=HERE, optional_capabilities=())
    assert powers(result) == set()
    assert set(outcomes(result).values()) == {("refused", "request")}


def test_a_tool_in_the_request_needs_its_powers_in_it_too():
    result = run(with_tracker(), ALL, facts=HERE, optional_capabilities=("tool:tracker",))
    assert powers(result) == set()
    assert outcomes(result)["tool:tracker"] == ("refused", "request")


def test_a_request_that_covers_all_changes_nothing():
    listed = ("tool:tracker", "secret:token", "network:tracker")
    result = run(with_tracker(), ALL, facts=HERE, optional_capabilities=listed)
    assert powers(result) == set(listed)


def test_a_required_power_outside_the_request_is_refused():
    with pytest.raises(PolicyDeniedError) as caught:
        run(with_tracker("required"), ALL, facts=HERE, optional_capabilities=())
    assert {refusal["rule"] for refusal in caught.value.facts["refusals"]} == {"request"}
    assert "optional_capabilities" in caught.value.hint


def test_a_request_may_require_what_the_profile_only_offers():
    with pytest.raises(PolicyDeniedError, match="secret:token, tool:tracker"):
        run(with_tracker(), ALLOW_TOOL + NETWORK, required_capabilities=("tool:tracker",))
    result = run(with_tracker(), ALL, facts=HERE, required_capabilities=("tool:tracker",))
    assert all(decision.required for decision in result.decisions)


def test_a_request_may_not_require_what_the_profile_does_not_ask():
    with pytest.raises(PolicyDeniedError) as caught:
        run(with_tracker(), ALL, facts=HERE, required_capabilities=("mount:repo", "shell:x"))
    refusals = caught.value.facts["refusals"]
    assert [refusal["power"] for refusal in refusals] == ["mount:repo", "shell:x"]
    assert refusals[0] == {
        "power": "mount:repo",
        "rule": "request",
        "reason": "the profile does not ask for it",
        "file": None,
        "line": None,
    }


def test_an_option_in_the_request_that_nobody_asks_for_is_ignored():
    result = run(policy=ALL, optional_capabilities=("mount:repo",))
    assert result.decisions == ()


# --- how refusals are told ---


def test_all_refusals_are_told_at_once_with_file_line_and_hint():
    with pytest.raises(PolicyDeniedError) as caught:
        run(with_tracker("required"), "")
    error = caught.value
    assert error.code == "policy_denied"
    assert error.message == (
        "3 required powers were refused: network:tracker, secret:token, tool:tracker"
    )
    assert error.facts["refusals"] == [
        {
            "power": "network:tracker",
            "rule": "default-deny",
            "reason": "no [[network]] rule covers any of its hosts",
            "file": "tools/tracker.toml",
            "line": 6,
        },
        {
            "power": "secret:token",
            "rule": "default-deny",
            "reason": "no [[secret]] rule gives it",
            "file": "tools/tracker.toml",
            "line": 8,
        },
        {
            "power": "tool:tracker",
            "rule": "default-deny",
            "reason": "no [[tool]] rule names it",
            "file": "profiles/coder.toml",
            "line": 11,
        },
    ]
    assert error.hint == (
        'what would grant: [[network]] hosts = ["t.test", "u.test"]; '
        '[[secret]] name = "token"; [[tool]] tools = ["tracker"]'
    )


def test_one_refusal_is_told_in_the_singular():
    with pytest.raises(PolicyDeniedError, match=r"^1 required power was refused: tool:tracker$"):
        run(with_tracker("required"), SECRET + NETWORK, facts=HERE)


def test_a_refusal_that_only_follows_gives_no_hint_of_its_own():
    with pytest.raises(PolicyDeniedError) as caught:
        run(with_tracker("required"), ALLOW_TOOL + NETWORK)
    assert len(caught.value.facts["refusals"]) == 2
    assert caught.value.hint == 'what would grant: [[secret]] name = "token"'


def test_a_demanded_power_falls_with_the_only_one_that_asks_for_it():
    with pytest.raises(PolicyDeniedError) as caught:
        run(with_tracker(), SECRET + NETWORK, facts=HERE, required_capabilities=("secret:token",))
    assert [r["reason"] for r in caught.value.facts["refusals"]] == [
        "only what was refused asks for it"
    ]


def test_ruling_reports_refusals_without_raising():
    from resolve_builders import make_bundle, make_request

    bundle = make_bundle(with_tracker("required"))
    sheet = collect_asks(bundle, merge_profile(bundle, Name("coder")))
    view = HostView(make_policy(), make_facts(), Subject(WorkspaceId("acme"), Name("coder")))
    decisions = rule_powers(bundle, sheet, make_request(bundle), view).decisions
    assert {decision.outcome for decision in decisions} == {"refused"}
