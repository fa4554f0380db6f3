"""Resolution: the spec, its digest, its receipt, and what they hold."""

import json

import pytest
from resolve_builders import (
    COMMIT,
    MANIFEST,
    PLUGIN,
    POLICY_DIGEST,
    PROFILE,
    PROVIDER,
    make_bundle,
    make_facts,
    make_policy,
    make_request,
    names,
    run,
)

from yoi_bundles.builtin import load_builtin_files
from yoi_bundles.content.check import check_files
from yoi_bundles.errors import InvalidManifestError, PolicyDeniedError
from yoi_bundles.model.bundle import Bundle
from yoi_bundles.model.canonical import canonical_hash, encode_canonical
from yoi_bundles.model.declarations import WorkerLimits
from yoi_bundles.model.ids import ContentHash, Digest
from yoi_bundles.model.spec import ResolvedWorkerSpec
from yoi_bundles.resolve import ResolutionCache, resolve
from yoi_bundles.resolve.assembly import lower_limits
from yoi_bundles.resolve.resolution import fingerprint_declarations, prepare_profile

pytestmark = pytest.mark.floors

PROMPTED = {
    "profiles/coder.toml": PROFILE.replace(
        'kind = "tool-loop"',
        'kind = "workflow"\nsystem_prompt = "role.coder"\nprompts = ["z", "a"]\nworkflow = "fix"',
    ),
    "prompts/role/coder.md": "You write code.\n",
    "prompts/z.md": "Last letter first.\n",
    "prompts/a.md": "Then this.\n",
    "workflows/fix.toml": """
kind = "definition"
description = "Fix it"
[[steps]]
id = "one"
title = "Do"
""",
}


def test_the_engine_keeps_the_order_of_prompts_and_pins_their_blobs():
    engine = run(PROMPTED).spec.engine
    assert [str(prompt.key) for prompt in engine.prompts] == ["z", "a"]
    assert str(engine.system_prompt.file) == "prompts/role/coder.md"
    assert len(str(engine.system_prompt.blob)) == 64
    assert str(engine.workflow.name) == "fix"
    assert engine.workflow.workflow.steps[0].title == "Do"


@pytest.mark.parametrize(
    ("gone", "message", "line"),
    [
        ("prompts/role/coder.md", "role.coder is not in the bundle", 6),
        ("prompts/a.md", "the prompt a is not in the bundle", 7),
        ("workflows/fix.toml", "the workflow fix is not in the bundle", 8),
    ],
)
def test_a_missing_prompt_or_workflow_is_invalid(gone, message, line):
    with pytest.raises(InvalidManifestError, match=message) as caught:
        run({**PROMPTED, gone: None})
    assert caught.value.facts == {"file": "profiles/coder.toml", "line": line}


@pytest.mark.parametrize(
    ("profile", "message"),
    [
        (PROFILE.replace('kind = "tool-loop"', ""), "has no engine kind"),
        (PROFILE.replace("tool-loop", "workflow"), "names no workflow"),
    ],
)
def test_an_engine_that_cannot_run_is_invalid(profile, message):
    with pytest.raises(InvalidManifestError, match=message):
        run({"profiles/coder.toml": profile})


def test_the_spec_says_what_it_was_made_from():
    bundle = make_bundle()
    spec = run().spec
    assert (spec.bundle, str(spec.workspace), str(spec.profile)) == (bundle.digest, "acme", "coder")
    assert spec.description == "Writes code"
    assert spec.intent.summary == "fix the build"
    assert [str(layer.profile) for layer in spec.layers] == ["coder"]
    assert spec.model.upstream == "small-1"


def test_output_tokens_are_capped_by_the_model_entry():
    for asked, given in ((500, 500), (5000, 1000)):
        profile = f"{PROFILE}max_output_tokens = {asked}\n"
        assert run({"profiles/coder.toml": profile}).spec.model.max_output_tokens == given
    assert run().spec.model.max_output_tokens is None


def test_limits_are_the_lower_of_both_field_by_field():
    ours = WorkerLimits(max_turns=10, max_cost_cents=5, max_tool_calls=0)
    hosts = WorkerLimits(max_turns=20, max_cost_cents=3, max_wall_seconds=60)
    assert lower_limits(ours, hosts) == WorkerLimits(
        max_turns=10, max_cost_cents=3, max_tool_calls=0, max_wall_seconds=60
    )
    policy = "[limits.worker]\nmax_turns = 7\n"
    assert run(policy=policy).spec.limits == WorkerLimits(max_turns=7)


SCHEMA_TOOL = """
kind = "mcp-stdio"
description = "Tracks"
command = "tracker"
arguments = ["--stdio", "-v"]
[environment]
TOKEN = "secret:token"
[input_schema]
type = "object"
"""


def test_a_tool_is_carried_whole():
    files = {
        "profiles/coder.toml": PROFILE + '\n[tools]\noptional = ["track", "read"]\n',
        "tools/track.toml": SCHEMA_TOOL,
        "tools/read.toml": 'kind = "builtin"\ndescription = "r"\n',
        "grants/token.toml": 'kind = "secret"\ndescription = "t"\n',
    }
    policy = (
        '[[tool]]\ntools = ["*"]\nprograms = ["tracker"]\n[[secret]]\nname = "token"\nenv = "T"\n'
    )
    read, track = run(files, policy).spec.tools
    assert (str(read.builtin), read.command) == ("read", None)
    assert (track.builtin, track.command) == (None, "tracker")
    assert track.arguments == ("--stdio", "-v")
    assert {name: str(ref) for name, ref in track.environment.items()} == {"TOKEN": "secret:token"}
    assert track.input_schema == {"type": "object"}


# --- digests and receipts ---


def test_equal_inputs_give_equal_digests_whoever_asks():
    one, two = run(worker_id="w-1"), run(worker_id="w-2")
    assert one.spec_digest == two.spec_digest
    assert one.receipt.request_digest != two.receipt.request_digest


@pytest.mark.parametrize(
    "change",
    [
        {"files": {"models/local.toml": PROVIDER.replace("small-1", "small-2")}},
        {"policy": "[limits.worker]\nmax_turns = 3\n"},
        {"intent": {"summary": "something else"}},
    ],
)
def test_what_counts_changes_the_digest(change):
    assert run(**change).spec_digest != run().spec_digest


def test_the_receipt_binds_inputs_and_spec():
    result = run()
    receipt = result.receipt
    assert receipt.spec_digest == result.spec_digest == canonical_hash(result.spec)
    assert receipt.bundle == make_bundle().digest
    assert receipt.policy_digest == POLICY_DIGEST
    assert receipt.commit == COMMIT
    assert receipt.request_digest == canonical_hash(make_request(make_bundle()))


def test_the_spec_survives_its_own_json():
    spec = run(PROMPTED).spec
    text = encode_canonical(spec)
    again = ResolvedWorkerSpec.model_validate_json(text)
    assert again == spec
    assert encode_canonical(again) == text
    assert json.loads(text)["spec_version"] == 1


def test_the_language_comes_from_the_manifest():
    manifest = MANIFEST + '\n[language]\nprimary = "ja"\n'
    assert run({"bundle.toml": manifest}).spec.language.primary == "ja"


# --- the cache ---


def cached(cache, bundle, request, **changes):
    table = {
        "mode": "synced",
        "commit": COMMIT,
        "policy": make_policy(),
        "policy_digest": POLICY_DIGEST,
        "facts": make_facts(),
        **changes,
    }
    return cache.resolve(bundle, request=request, **table)


def test_a_resolution_is_made_once():
    cache, bundle = ResolutionCache(), make_bundle()
    first = cached(cache, bundle, make_request(bundle))
    assert cached(cache, bundle, make_request(bundle)) is first


def test_another_worker_id_shares_the_spec_and_has_its_own_receipt():
    cache, bundle = ResolutionCache(), make_bundle()
    first = cached(cache, bundle, make_request(bundle))
    request = make_request(bundle, worker_id="w-2")
    second = cached(cache, bundle, request)
    assert second.spec is first.spec
    assert second.receipt.request_digest == canonical_hash(request)
    assert second.receipt.request_digest != first.receipt.request_digest


@pytest.mark.parametrize(
    "change",
    [
        {"policy_digest": ContentHash("sha256:" + "e" * 64)},
        {"facts": make_facts(present_secrets=names("x"))},
        {"facts": make_facts(packages={("a", "1"): (ContentHash("sha256:" + "1" * 64), 1)})},
        {"commit": None},
    ],
)
def test_whatever_counts_is_part_of_the_key(change):
    cache, bundle = ResolutionCache(), make_bundle()
    first = cached(cache, bundle, make_request(bundle))
    assert cached(cache, bundle, make_request(bundle), **change) is not first


def test_the_cache_agrees_with_resolve_and_keeps_no_refusal():
    cache, bundle = ResolutionCache(), make_bundle()
    request = make_request(bundle, required_capabilities=("secret:x",))
    for _ in range(2):
        with pytest.raises(PolicyDeniedError):
            cached(cache, bundle, request)
    assert cached(cache, bundle, make_request(bundle)) == run()


def test_bundles_that_declare_the_same_share_what_was_prepared():
    cache, before = ResolutionCache(), make_bundle(PROMPTED)
    after = make_bundle({**PROMPTED, "prompts/a.md": "Then that.\n"})
    first = cached(cache, before, make_request(before))
    second = cached(cache, after, make_request(after))
    assert second.explanation is first.explanation
    assert second.spec.engine.prompts[0] == first.spec.engine.prompts[0]
    assert second.spec.engine.prompts[1] != first.spec.engine.prompts[1]
    assert second == run({**PROMPTED, "prompts/a.md": "Then that.\n"})


@pytest.mark.parametrize(
    "change",
    [
        {"profiles/coder.toml": PROFILE + "temperature = 0.5\n"},
        {"profiles/other.toml": PROFILE},
        {"models/local.toml": PROVIDER + "# another blob\n"},
        {"grants/more.toml": 'kind = "secret"\ndescription = "More"\n'},
        {"tools/tracker.toml": SCHEMA_TOOL},
        {"plugins/index.toml": PLUGIN},
    ],
)
def test_what_was_prepared_is_not_shared_when_a_declaration_differs(change):
    cache, before = ResolutionCache(), make_bundle()
    assert cached(cache, before, make_request(before)).explanation
    after = make_bundle(change)
    found = cached(cache, after, make_request(after))
    assert found.explanation is not cached(cache, before, make_request(before)).explanation
    assert found == run(change)


def test_what_is_prepared_depends_on_nothing_else():
    """Of what the fingerprint leaves out nothing is there, and the result is the same."""
    whole = make_bundle(
        {**PROMPTED, "tools/tracker.toml": SCHEMA_TOOL, "plugins/index.toml": PLUGIN}
    )
    counted = ("profiles", "tools", "plugins", "providers", "grants")
    bare = whole._replace(**{name: None for name in Bundle._fields if name not in counted})
    for name in whole.profiles:
        assert prepare_profile(bare, name) == prepare_profile(whole, name)
    assert fingerprint_declarations(bare) == fingerprint_declarations(whole)


# --- the tree in the package ---

BUILTIN_POLICY = """
[bundles]
required_for = []
builtin_fallback = true
[capabilities.shell]
commands = ["*"]
[capabilities.git]
operations = ["read", "commit", "branch", "push"]
[capabilities.page-on-call]
[[tool]]
tools = ["*"]
programs = ["*"]
[[network]]
hosts = ["*"]
[[mount]]
name = "checkout"
path = "/srv/checkout"
mode = "rw"
[[mount]]
name = "checkout-view"
path = "/srv/checkout"
[[mount]]
name = "docs"
path = "/srv/docs"
[[secret]]
name = "anthropic-api-key"
env = "A"
[[secret]]
name = "openai-api-key"
env = "B"
[[secret]]
name = "tracker-token"
env = "C"
"""


def builtin_bundle():
    checked = check_files(load_builtin_files(), digest=Digest("b" * 64))
    assert checked.bundle is not None
    return checked.bundle


BUILTIN = builtin_bundle()
SELECTABLE = [str(name) for name, found in BUILTIN.profiles.items() if not found.value.abstract]


def builtin_run(name, policy=BUILTIN_POLICY):
    return resolve(
        BUILTIN,
        mode="builtin",
        commit=None,
        request=make_request(None, selector=f"builtin:{name}"),
        policy=make_policy(policy),
        policy_digest=POLICY_DIGEST,
        facts=make_facts(
            present_secrets=names("anthropic-api-key", "openai-api-key", "tracker-token"),
            present_mounts=names("checkout", "checkout-view", "docs"),
        ),
    )


@pytest.mark.parametrize("name", SELECTABLE)
def test_every_builtin_profile_resolves_on_a_generous_host(name):
    result = builtin_run(name)
    refused = {str(d.power) for d in result.decisions if d.outcome == "refused"}
    only_plugins = {"plugin:code-index", "tool:code-lookup"}
    if name == "reviewer":
        only_plugins.add("mount:checkout")  # asked for by the plugin's permissions alone
    assert refused <= only_plugins, "only the plugin is not there"
    assert result.spec.powers() == {d.power for d in result.decisions if d.outcome != "refused"}


@pytest.mark.parametrize("name", SELECTABLE)
def test_no_builtin_profile_starts_on_a_host_that_grants_nothing(name):
    policy = "[bundles]\nrequired_for = []\nbuiltin_fallback = true\n"
    with pytest.raises(PolicyDeniedError) as caught:
        builtin_run(name, policy)
    assert caught.value.facts["refusals"]
    assert all(refusal["file"] for refusal in caught.value.facts["refusals"])
