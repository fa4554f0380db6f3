"""What a Browser sees: names and states; no address, no mail, no credential."""

from __future__ import annotations

import pytest
from house import OTHER, TEAM, publish_request, workspace_files

from yoi_bundles.backend.fleet.views import browser_revision, browser_runtimes
from yoi_bundles.model.ids import Digest, RuntimeId
from yoi_bundles.model.revision import Provenance
from yoi_bundles.wire.messages.runtimes import BundleOnRuntime, RuntimeView

ONE, TWO, THREE = (Digest(two * 32) for two in ("aa", "bb", "cc"))


def runtime_view(house, *bundles: BundleOnRuntime) -> RuntimeView:
    return RuntimeView(
        runtime_id=RuntimeId("eu-1"),
        endpoint="http://10.9.8.7:8471",
        labels={},
        is_available=True,
        last_seen=house.clock(),
        last_error="no connection to http://10.9.8.7",
        reported=None,
        workspaces=(TEAM,),
        bundles=bundles,
    )


@pytest.mark.parametrize(
    ("published_by", "shown"),
    [
        ("Ada Lovelace <ada@example.org>", "Ada Lovelace"),
        ("Ada", "Ada"),
        ("ada@example.org", "ada"),
        ("Ada ada@example.org", "Ada ada"),
    ],
)
def test_a_publisher_is_shown_without_the_mail_address(house, published_by, shown):
    backend = house.backend()
    provenance = Provenance(
        source_kind="git",
        source_uri="https://git.example.org/team/conf",
        published_by=published_by,
        built_with="tests",
    )
    request = publish_request(
        workspace_files(), provenance=provenance, message="Subject\n\nBody ada@example.org"
    )
    revision = backend.publishing.publish(TEAM, request).revision

    view = browser_revision(revision)

    assert (view.published_by, view.subject, view.source_kind) == (shown, "Subject", "git")
    assert "example.org" not in view.model_dump_json()


def test_a_workspace_shows_profiles_and_names_of_secrets_only(house):
    backend = house.backend()
    house.publish(backend)

    view = backend.overview().workspaces[0]

    assert view.workspace == TEAM
    assert view.head.number == 1
    assert "coder" in map(str, view.profiles)
    assert "base" not in map(str, view.profiles), "an abstract profile makes no Worker"
    assert [str(name) for name in view.secret_names] == sorted(map(str, view.secret_names))
    assert "anthropic-api-key" in map(str, view.secret_names)


def test_a_workspace_without_a_revision_is_shown_empty(house):
    backend = house.backend()
    backend._repositories.create(OTHER)

    view = backend.overview().workspaces[0]

    assert (view.workspace, view.head, view.profiles) == (OTHER, None, ())


def test_a_runtime_shows_the_bundle_that_came_last_and_counts_what_was_refused(house):
    house.clock.advance(hours=1)
    late = house.clock()
    house.clock.advance(hours=-1)
    bundles = (
        BundleOnRuntime(workspace=TEAM, digest=ONE, state="active", last_fetched=late),
        BundleOnRuntime(workspace=TEAM, digest=TWO, state="accepted", last_fetched=house.clock()),
        BundleOnRuntime(workspace=OTHER, digest=THREE, state="rejected"),
    )

    (view,) = browser_runtimes([runtime_view(house, *bundles)])

    assert view.current == {TEAM: ONE}
    assert view.rejected == 1
    assert "10.9.8.7" not in view.model_dump_json()
