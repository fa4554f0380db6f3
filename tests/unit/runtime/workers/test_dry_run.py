"""Resolving files that are not published yet."""

from __future__ import annotations

import pytest
from house import TEAM, worker_request, workspace_files

from yoi_bundles.errors import InvalidHostPolicyError, InvalidManifestError, PolicyDeniedError
from yoi_bundles.model.ids import RelativePath
from yoi_bundles.runtime.workers.dry_run import resolve_directory_files


def resolve(house, files=None, **changes):
    return resolve_directory_files(
        files or workspace_files(),
        policy=house.policy(),
        state_directory=house.root / "state",
        make_request=lambda ref: worker_request(ref.digest, workspace=ref.workspace, **changes),
    )


def test_it_says_what_publishing_and_syncing_would_give(house):
    dry = resolve(house)
    backend, runtime = house.backend(), house.runtime()
    revision = house.publish(backend).revision
    file = backend.bundle_file(revision.digest, workspace=TEAM)
    runtime.put_bundle(TEAM, revision.digest, [file.path.read_bytes()])
    real = runtime.resolve(worker_request(revision.digest))

    assert dry.spec_digest == real.spec_digest
    assert (dry.receipt.commit, real.receipt.commit) == (None, revision.commit)
    assert dry.decisions == real.decisions


def test_wrong_files_a_refusal_and_an_unsafe_policy_are_told(house):
    with pytest.raises(InvalidManifestError):
        resolve(house, {**workspace_files(), RelativePath("models/broken.toml"): b"["})
    with pytest.raises(PolicyDeniedError):
        resolve(house, selector="project:operator")
    with pytest.raises(InvalidHostPolicyError):
        resolve_directory_files(
            workspace_files(),
            policy=house.policy(),
            state_directory=house.root,
            make_request=lambda ref: worker_request(ref.digest),
        )
