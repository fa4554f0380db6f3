"""Packages: hashed as they are, verified again before anything is registered."""

import hashlib
import os
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "resolve"))

from resolve_builders import PROFILE, make_facts, make_policy, run

from yoi_bundles.errors import PolicyDeniedError
from yoi_bundles.model.host_policy import PluginRule
from yoi_bundles.model.ids import ContentHash, Name
from yoi_bundles.runtime.host import packages
from yoi_bundles.runtime.host.packages import PackageInspector, PluginRegistry, inspect_packages

DATA = b"a plugin package" * 1000
DIGEST = ContentHash("sha256:" + hashlib.sha256(DATA).hexdigest())
KEY = ("acme-index", "1.0")


@pytest.fixture
def package(tmp_path):
    path = tmp_path / "canary.whl"
    path.write_bytes(DATA)
    path.chmod(0o644)
    return path


def rule(path, **changes):
    return PluginRule.model_validate(
        {
            "package": "acme-index",
            "version": "1.0",
            "digest": DIGEST,
            "path": str(path),
            "surfaces": ("tool", "hook"),
            "permissions": ("capability:*",),
            **changes,
        }
    )


def resolved(path, rules=None):
    """A spec with the plugin, and the policy that gave it."""
    rules = rules or [rule(path)]
    policy = make_policy("[capabilities.page]\n").model_copy(update={"plugin": tuple(rules)})
    files = {
        "profiles/coder.toml": f'{PROFILE}\n[plugins]\noptional = ["index"]\n',
        "grants/page.toml": 'kind = "capability"\ndescription = "p"\n',
        "plugins/index.toml": f"""
description = "Index"
package = "acme-index"
version = "1.0"
digest = "{DIGEST}"
size_bytes = {len(DATA)}
surfaces = ["tool", "hook", "service"]
permissions = ["capability:page"]
""",
    }
    facts = make_facts(packages={KEY: (DIGEST, len(DATA))})
    return run(files, policy, facts=facts), policy


# --- inspecting ---


def test_a_package_is_known_by_hash_and_size(package):
    assert inspect_packages([rule(package)]) == {KEY: (DIGEST, len(DATA))}


def test_missing_and_unsafe_packages_are_left_out(package, tmp_path):
    assert inspect_packages([rule(tmp_path / "gone")]) == {}
    link = tmp_path / "link"
    link.symlink_to(package)
    assert inspect_packages([rule(link)]) == {}
    package.chmod(0o666)
    assert inspect_packages([rule(package)]) == {}


def test_of_two_files_for_one_version_the_pinned_one_counts(package, tmp_path):
    other = tmp_path / "other.whl"
    other.write_bytes(b"something else")
    for rules in ([rule(other), rule(package)], [rule(package), rule(other)]):
        assert inspect_packages(rules) == {KEY: (DIGEST, len(DATA))}


def test_a_file_is_hashed_once_until_it_changes(package, monkeypatch):
    calls = []

    def counting(descriptor):
        calls.append(descriptor)
        return original(descriptor)

    original = packages.hash_file
    monkeypatch.setattr(packages, "hash_file", counting)
    inspector = PackageInspector()
    first = inspect_packages([rule(package)], inspector)
    assert inspect_packages([rule(package)], inspector) == first
    assert len(calls) == 1
    package.write_bytes(DATA + b"!")
    changed = inspect_packages([rule(package)], inspector)
    assert changed[KEY][1] == len(DATA) + 1
    assert len(calls) == 2


def test_a_file_that_cannot_be_read_is_left_out(package, monkeypatch):
    def broken(descriptor):
        raise OSError("disk")

    monkeypatch.setattr(packages, "hash_file", broken)
    assert inspect_packages([rule(package)]) == {}


# --- registering ---


def test_nothing_is_registered_before_register(package):
    result, policy = resolved(package)
    registry = PluginRegistry()
    assert registry.find_plugins(result.spec_digest) == ()
    registered = registry.register(result.spec, policy)
    assert registry.find_plugins(result.spec_digest) == registered
    assert registered[0].path == package
    assert str(package) not in repr(registered)


def test_only_the_surfaces_of_the_spec_are_registered(package):
    result, policy = resolved(package)
    registry = PluginRegistry()
    registry.register(result.spec, policy)
    [entry] = registry.find_plugins(result.spec_digest)
    assert (entry.name, set(entry.surfaces)) == (Name("index"), {"tool", "hook"})
    assert registry.find_plugins(ContentHash("sha256:" + "0" * 64)) == ()


def test_a_registration_can_be_taken_back(package):
    result, policy = resolved(package)
    registry = PluginRegistry()
    registry.register(result.spec, policy)
    registry.forget(result.spec_digest)
    registry.forget(result.spec_digest)
    assert registry.find_plugins(result.spec_digest) == ()


def refuse(package, policy, result, match):
    registry = PluginRegistry()
    with pytest.raises(PolicyDeniedError, match=match) as caught:
        registry.register(result.spec, policy)
    assert caught.value.code == "policy_denied"
    assert caught.value.facts["power"] == "plugin:index"
    assert "canary" not in str(caught.value) + str(caught.value.facts) + str(caught.value.hint)
    assert registry.find_plugins(result.spec_digest) == ()


@pytest.mark.parametrize("data", [DATA + b"!", b"x" * len(DATA), b""])
def test_a_package_that_changed_after_resolution_is_refused(package, data):
    result, policy = resolved(package)
    stamp = package.stat().st_mtime_ns
    package.write_bytes(data)
    os.utime(package, ns=(stamp, stamp))
    refuse(package, policy, result, "not the one that is pinned")


def test_a_package_that_went_away_or_became_unsafe_is_refused(package):
    result, policy = resolved(package)
    package.chmod(0o666)
    refuse(package, policy, result, "may be written by others")
    package.unlink()
    refuse(package, policy, result, "does not exist")


def test_a_package_that_cannot_be_read_is_refused(package, monkeypatch):
    def broken(descriptor):
        raise OSError("disk")

    result, policy = resolved(package)
    monkeypatch.setattr(packages, "hash_file", broken)
    refuse(package, policy, result, "cannot be read")


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"surfaces": ("tool",)}, "fewer surfaces"),
        ({"permissions": ()}, "fewer powers"),
        ({"digest": ContentHash("sha256:" + "1" * 64)}, "no .* rule in force pins"),
        ({"workspaces": ("other",)}, "no .* rule in force pins"),
    ],
)
def test_a_stricter_policy_in_force_wins(package, changes, match):
    result, policy = resolved(package)
    stricter = policy.model_copy(update={"plugin": (rule(package, **changes),)})
    refuse(package, stricter, result, match)


def test_verifying_also_compares_the_rule(package):
    result, _ = resolved(package)
    other = rule(package, digest=ContentHash("sha256:" + "1" * 64))
    with pytest.raises(PolicyDeniedError, match="pins another one"):
        packages.verify_package(result.spec.plugins[0], other)


def test_a_spec_without_plugins_registers_nothing():
    result = run()
    registry = PluginRegistry()
    assert registry.register(result.spec, make_policy()) == ()
    assert registry.find_plugins(result.spec_digest) == ()
