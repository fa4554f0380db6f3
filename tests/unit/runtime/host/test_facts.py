"""Facts: what is seen of a host, without reading a secret."""

import hashlib

import pytest

from yoi_bundles.model.host_policy import RUNTIME_FEATURES, HostPolicy
from yoi_bundles.model.ids import ContentHash, Name
from yoi_bundles.runtime.host.facts import observe_host
from yoi_bundles.runtime.host.packages import PackageInspector
from yoi_bundles.runtime.host.secrets import SecretStore


def test_sources_directories_and_packages_are_seen(tmp_path):
    package = tmp_path / "p.whl"
    package.write_bytes(b"package")
    package.chmod(0o644)
    digest = ContentHash("sha256:" + hashlib.sha256(b"package").hexdigest())
    policy = HostPolicy.model_validate(
        {
            "schema": 1,
            "secret": [
                {"name": "set", "env": "SET"},
                {"name": "unset", "env": "UNSET"},
            ],
            "mount": [
                {"name": "here", "path": str(tmp_path)},
                {"name": "file", "path": str(package)},
                {"name": "gone", "path": str(tmp_path / "gone")},
                {"name": "here", "path": str(tmp_path / "gone")},
            ],
            "plugin": [
                {
                    "package": "p",
                    "version": "1",
                    "digest": str(digest),
                    "path": str(package),
                }
            ],
        }
    )
    secrets = SecretStore(policy.secret, environment={"SET": "x"})
    facts = observe_host(policy, secrets, PackageInspector(), "remote")
    assert facts.present_secrets == {Name("set")}
    assert facts.present_mounts == {Name("here")}
    assert facts.absent_rules == {"secret[1]", "mount[1]", "mount[2]", "mount[3]"}
    assert facts.packages == {("p", "1"): (digest, 7)}
    assert facts.origin == "remote"
    assert facts.features == RUNTIME_FEATURES


def test_seeing_reads_no_secret(monkeypatch):
    def no_reading(*_):
        pytest.fail("a secret was read")

    monkeypatch.setattr(SecretStore, "_read_source", no_reading)
    monkeypatch.setattr(SecretStore, "_run", no_reading)
    policy = HostPolicy.model_validate(
        {"schema": 1, "secret": [{"name": "a", "command": ["true"]}, {"name": "b", "env": "B"}]}
    )
    facts = observe_host(policy, SecretStore(policy.secret))
    assert Name("a") in facts.present_secrets
    assert facts.origin == "embedded"
