"""Acceptance: when a bundle is taken, and when one is needed."""

import pytest
from resolve_builders import (
    COMMIT,
    MANIFEST,
    PLUGIN,
    POLICY_DIGEST,
    PROFILE,
    make_bundle,
    make_facts,
    make_policy,
    make_request,
    names,
    run,
)

from yoi_bundles.errors import (
    BundleRequiredError,
    DigestMismatchError,
    InvalidManifestError,
    InvalidProfileSelectorError,
    PolicyDeniedError,
    UnsupportedDeclarationError,
)
from yoi_bundles.model.ids import Digest, WorkspaceId
from yoi_bundles.model.request import BundleRef
from yoi_bundles.resolve import resolve

WITH_PLUGIN = {
    "profiles/coder.toml": PROFILE + '\n[plugins]\noptional = ["index"]\n',
    "plugins/index.toml": PLUGIN,
}


def bundles(**table):
    return make_policy(
        "[bundles]\n" + "".join(f"{key} = {value}\n" for key, value in table.items())
    )


def test_an_empty_policy_accepts_no_workspace():
    with pytest.raises(PolicyDeniedError, match="does not accept") as caught:
        run(policy="[bundles]")
    assert caught.value.code == "policy_denied"
    assert caught.value.facts == {"rule": "bundles.workspaces", "workspace": "acme"}
    assert '[bundles] workspaces = ["acme"]' in caught.value.hint


@pytest.mark.parametrize("globs", ['["acme"]', '["other", "a*"]', '["*"]'])
def test_a_workspace_that_a_glob_matches_is_accepted(globs):
    assert run(policy=bundles(workspaces=globs)).spec.mode == "synced"


def test_a_bundle_of_another_workspace_may_not_borrow_its_name():
    bundle = make_bundle()
    request = make_request(
        None, bundle=BundleRef(workspace=WorkspaceId("other"), digest=bundle.digest)
    )
    with pytest.raises(InvalidManifestError, match="says it is of acme") as caught:
        resolve_with(bundle, request, "synced")
    assert caught.value.facts == {"file": "bundle.toml", "line": 6}


def resolve_with(bundle, request, mode):
    return resolve(
        bundle,
        mode=mode,
        commit=COMMIT,
        request=request,
        policy=bundles(workspaces='["*"]', required_for="[]", builtin_fallback="true"),
        policy_digest=POLICY_DIGEST,
        facts=make_facts(),
    )


def test_the_loaded_bundle_is_the_one_that_was_named():
    bundle = make_bundle()
    named = BundleRef(workspace=WorkspaceId("acme"), digest=Digest("0" * 64))
    with pytest.raises(DigestMismatchError) as caught:
        resolve_with(bundle, make_request(None, bundle=named), "synced")
    assert caught.value.facts["expected"] == "0" * 64
    with pytest.raises(DigestMismatchError):
        resolve_with(bundle, make_request(bundle), "builtin")


def test_synced_mode_needs_a_bundle_in_the_request():
    with pytest.raises(BundleRequiredError):
        resolve_with(make_bundle(), make_request(None), "synced")


@pytest.mark.parametrize(
    ("required_for", "fallback", "origin", "rule"),
    [
        ('["always"]', "true", "embedded", "bundles.required_for"),
        ('["remote"]', "true", "remote", "bundles.required_for"),
        ("[]", "false", "embedded", "bundles.builtin_fallback"),
    ],
)
def test_the_host_may_want_a_bundle(required_for, fallback, origin, rule):
    policy = bundles(required_for=required_for, builtin_fallback=fallback)
    with pytest.raises(BundleRequiredError) as caught:
        run(policy=policy, mode="builtin", facts=make_facts(origin=origin))
    assert caught.value.code == "bundle_required"
    assert caught.value.facts["rule"] == rule


@pytest.mark.parametrize(("required_for", "origin"), [("[]", "remote"), ('["remote"]', "embedded")])
def test_builtin_mode_works_where_the_host_lets_it(required_for, origin):
    policy = bundles(required_for=required_for, builtin_fallback="true")
    result = run(policy=policy, mode="builtin", facts=make_facts(origin=origin))
    assert result.spec.mode == "builtin"
    assert result.receipt.commit is None


def test_no_policy_at_all_wants_a_bundle():
    with pytest.raises(BundleRequiredError):
        run(policy="[bundles]", mode="builtin")


def test_plugins_may_need_a_bundle_even_optional_ones():
    policy = bundles(required_for='["plugins"]', builtin_fallback="true")
    with pytest.raises(BundleRequiredError, match="plugin:index"):
        run(WITH_PLUGIN, policy, mode="builtin")
    assert run(policy=policy, mode="builtin").spec.mode == "builtin"


def test_plugins_need_no_bundle_where_nothing_says_so():
    policy = bundles(required_for="[]", builtin_fallback="true")
    assert run(WITH_PLUGIN, policy, mode="builtin").spec.plugins == ()


def test_a_project_profile_needs_a_bundle_and_a_builtin_one_none():
    policy = bundles(workspaces='["*"]', required_for="[]", builtin_fallback="true")
    with pytest.raises(InvalidProfileSelectorError):
        run(policy=policy, mode="builtin", selector="project:coder")
    with pytest.raises(InvalidProfileSelectorError):
        run(policy=policy, selector="builtin:coder")


def test_a_feature_this_runtime_lacks_is_refused_with_its_line():
    manifest = MANIFEST.replace("schema = 1", 'schema = 1\nrequires = ["plugins", "teleport"]')
    with pytest.raises(UnsupportedDeclarationError, match="teleport") as caught:
        run({"bundle.toml": manifest})
    assert caught.value.code == "unsupported_declaration"
    assert caught.value.facts == {"file": "bundle.toml", "line": 3, "feature": "teleport"}


def test_features_this_runtime_has_are_fine():
    manifest = MANIFEST.replace("schema = 1", 'schema = 1\nrequires = ["teleport"]')
    assert run({"bundle.toml": manifest}, facts=make_facts(features=names("teleport")))
