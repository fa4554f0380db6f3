"""A history that git writes in one stream is the one that the store would have made."""

import pytest

from bench.history import extend_history
from bench.stage import make_request
from bench.workload import WORKSPACE, make_files
from yoi_bundles.backend.service import Backend

pytestmark = pytest.mark.needs_git


def test_the_backend_goes_on_from_a_history_that_git_wrote(tmp_path):
    files = make_files(20)
    with Backend.open(tmp_path) as backend:
        first = backend.publishing.publish(WORKSPACE, make_request(files)).revision
        repository = backend.repository_path(WORKSPACE)

    files = extend_history(repository, first, files, 30)

    with Backend.open(tmp_path) as backend:
        again = backend.publishing.publish(WORKSPACE, make_request(files))
        store = backend.publishing.store(WORKSPACE)
        assert (again.is_new, again.revision.number) == (False, 31)
        assert store.verify().problems == ()
        assert len(store.digests()) == 31
        assert [one.number for one in store.revisions()] == list(range(31, 0, -1))
