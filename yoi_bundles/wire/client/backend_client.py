"""The Backend's HTTP API from outside; the same verbs as the library."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from yoi_bundles.model.ids import ChannelName, CommitId, Digest, RuntimeId, WorkspaceId
from yoi_bundles.model.revision import Revision
from yoi_bundles.wire.client.download import Download
from yoi_bundles.wire.client.http import HttpClient, parse_answer
from yoi_bundles.wire.messages.publishing import PublishReply, PublishRequest
from yoi_bundles.wire.messages.revisions import (
    ChannelView,
    DiffReply,
    RevisionList,
    WorkspaceList,
    WorkspaceView,
)
from yoi_bundles.wire.messages.runtimes import (
    BrowserOverview,
    NewPushToken,
    RegisteredRuntime,
    RegisterRuntime,
    RuntimeList,
    RuntimeView,
    StatusReport,
    SyncReply,
    SyncRequest,
)


@dataclass(frozen=True, slots=True)
class Polled:
    """Answer to "anything new?": None in ``channel`` means no."""

    channel: ChannelView | None
    etag: str
    has_waited: bool = False
    """Whether the Backend would have waited for news."""


class BackendClient:
    """Calls a Backend. Every method raises what the Backend answers, or `TransportError`.

    Args:
        http: Connection and credential.
    """

    def __init__(self, http: HttpClient) -> None:
        self._http = http

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    # --- publisher and operator ---

    def publish(self, workspace: WorkspaceId, request: PublishRequest) -> PublishReply:
        """Make a revision; the same tree again is the same revision, so it is retried.

        Raises:
            BundleError: Why it was refused.
        """
        path = f"/v1/workspaces/{workspace}/revisions"
        return self._http.retried(lambda: self._http.post(path, request, PublishReply))

    def workspaces(self) -> WorkspaceList:
        """All workspaces.

        Raises:
            BundleError: See the class.
        """
        return self._http.get("/v1/workspaces", WorkspaceList)

    def workspace(self, workspace: WorkspaceId) -> WorkspaceView:
        """One workspace.

        Raises:
            BundleError: See the class.
        """
        return self._http.get(f"/v1/workspaces/{workspace}", WorkspaceView)

    def revisions(self, workspace: WorkspaceId, *, limit: int = 50) -> RevisionList:
        """Newest revisions first.

        Raises:
            BundleError: See the class.
        """
        path = f"/v1/workspaces/{workspace}/revisions"
        return self._http.get(path, RevisionList, [("limit", str(limit))])

    def revision(self, workspace: WorkspaceId, spelled: str) -> Revision:
        """One revision by number, commit, digest or ``main``.

        Raises:
            BundleError: See the class.
        """
        path = f"/v1/workspaces/{workspace}/revisions/{quote(spelled, safe='')}"
        return self._http.get(path, Revision)

    def diff(self, workspace: WorkspaceId, old: str, new: str) -> DiffReply:
        """What differs between two revisions.

        Raises:
            BundleError: See the class.
        """
        path = f"/v1/workspaces/{workspace}/diff"
        return self._http.get(path, DiffReply, [("old", old), ("new", new)])

    def register_runtime(self, request: RegisterRuntime) -> RegisteredRuntime:
        """Make a Runtime known; its token is in the answer only.

        Raises:
            BundleError: See the class.
        """
        return self._http.post("/v1/runtimes", request, RegisteredRuntime)

    def use_push_token(self, runtime_id: RuntimeId, new: NewPushToken) -> None:
        """Let the Backend sign in with another token at a Runtime; retried.

        Raises:
            BundleError: See the class.
        """
        path = f"/v1/runtimes/{runtime_id}/push-token"
        content = new.model_dump_json().encode()
        self._http.retried(lambda: self._http.request("PUT", path, content=content))

    def unregister_runtime(self, runtime_id: RuntimeId) -> None:
        """Forget a Runtime and its credential.

        Raises:
            BundleError: See the class.
        """
        self._http.request("DELETE", f"/v1/runtimes/{runtime_id}")

    def runtimes(self, labels: Sequence[str] = ()) -> RuntimeList:
        """Registered Runtimes, of all pages; ``labels`` (``key=value``) must all match.

        Raises:
            BundleError: See the class.
        """
        query = [("limit", "1000"), *(("label", text) for text in labels)]
        page = self._http.get("/v1/runtimes", RuntimeList, query)
        found = [*page.runtimes]
        while page.next is not None:
            page = self._http.get("/v1/runtimes", RuntimeList, [*query, ("after", str(page.next))])
            found += page.runtimes
        return RuntimeList(runtimes=tuple(found))

    def runtime(self, runtime_id: RuntimeId) -> RuntimeView:
        """One registered Runtime.

        Raises:
            BundleError: See the class.
        """
        return self._http.get(f"/v1/runtimes/{runtime_id}", RuntimeView)

    def sync(self, workspace: WorkspaceId, request: SyncRequest) -> SyncReply:
        """Bring Runtimes up to date; safe to repeat.

        Raises:
            BundleError: See the class.
        """
        return self._http.post(f"/v1/workspaces/{workspace}/sync", request, SyncReply)

    # --- Runtime ---

    def poll(
        self,
        workspace: WorkspaceId,
        channel: ChannelName,
        etag: str | None,
        *,
        wait_seconds: int = 0,
    ) -> Polled:
        """Ask where a channel points; retried, unless it is to wait.

        Args:
            etag: Of the last answer; the same state answers without a body.
            wait_seconds: How long to wait for another state, at most half of the time in which a
                server must answer.

        Raises:
            BundleError: See the class.
        """
        headers = {} if etag is None else {"if-none-match": etag}
        path = f"/v1/workspaces/{workspace}/channels/{channel}"
        if wait_seconds:
            granted = min(wait_seconds, int(self._http.limits.read_seconds / 2))
            headers["prefer"] = f"wait={granted}"
            answer = self._http.request("GET", path, headers=headers)
        else:
            answer = self._http.retried(lambda: self._http.request("GET", path, headers=headers))
        has_waited = answer.headers.get("preference-applied", "").startswith("wait")
        if answer.status == 304:
            return Polled(None, etag or "", has_waited)
        found = parse_answer(answer, ChannelView)
        return Polled(found, answer.headers.get("etag", ""), has_waited)

    def fetch_bundle(
        self,
        workspace: WorkspaceId,
        digest: Digest,
        haves: Sequence[CommitId],
        write: Callable[[bytes], object],
        *,
        is_whole: bool = False,
    ) -> int:
        """Download a bundle file, the smallest for what is held, and check its digest.

        A download that breaks off goes on where it was, if the server still has the same file.

        Args:
            write: Takes the bytes as they come, each once.
            is_whole: Without a common base, ask for whole history instead of the tip alone.

        Returns:
            How many bytes came.

        Raises:
            BundleMissingError: Not there, or not visible.
            TransportError: It broke off too often, or what came is not what the server has.
            BundleError: See the class.
        """
        query = [("workspace", str(workspace)), *(("have", str(have)) for have in haves)]
        query += [("history", "full")] * is_whole
        download = Download(self._http, f"/v1/config-bundles/{digest}", query, write)
        self._http.retried(download.go_on)
        return download.received_bytes

    def report(self, runtime_id: RuntimeId, report: StatusReport) -> None:
        """Tell the Backend what is held and what was refused.

        Raises:
            BundleError: See the class.
        """
        content = report.model_dump_json(by_alias=True).encode()
        self._http.retried(
            lambda: self._http.request("PUT", f"/v1/runtimes/{runtime_id}/status", content=content)
        )

    # --- Browser ---

    def overview(self) -> BrowserOverview:
        """The redacted view.

        Raises:
            BundleError: See the class.
        """
        return self._http.get("/v1/browser/overview", BrowserOverview)
