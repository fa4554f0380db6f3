"""Agent Worker configuration as verified git bundles, resolved under a host policy.

What a program that embeds it needs is here; docs/embedding.md shows it at work. ``import
yoi_bundles`` loads nothing else: a name is loaded when it is asked for. What is not here or in
`yoi_bundles.aio` may change with any release (docs/upgrading.md).

A `Backend` publishes and hands out, a `Runtime` receives, resolves and plans launches, a
`WorkspacePublisher` publishes a directory. Methods take names and ids as values or as plain text.
Every error is a `BundleError` with a stable ``code`` and a ``hint``.
"""

from __future__ import annotations

from importlib import import_module

from yoi_bundles.version import VERSION

TYPE_CHECKING = False  # `typing` takes longer to load than all else; checkers know the name
if TYPE_CHECKING:
    from yoi_bundles.author.publisher import PublishTarget
    from yoi_bundles.author.signing import SshCommitSigner
    from yoi_bundles.author.workspace_publisher import WorkspacePublisher, publish
    from yoi_bundles.backend.service import Backend
    from yoi_bundles.errors import (
        BundleError,
        BundleMissingError,
        BundleRequiredError,
        ChannelGoneError,
        DigestMismatchError,
        ForbiddenError,
        ForbiddenMaterialError,
        ForbiddenModeError,
        ForbiddenPathError,
        InvalidHostPolicyError,
        InvalidInputError,
        InvalidManifestError,
        InvalidProfileSelectorError,
        MalformedBundleError,
        MissingObjectError,
        MissingPrerequisiteError,
        NotFastForwardError,
        PolicyDeniedError,
        PolicyError,
        RevisionConflictError,
        RollbackRefusedError,
        StaleBundleError,
        StorageFullError,
        StoreCorruptError,
        StoreError,
        TooLargeError,
        TooManyRequestsError,
        TransportError,
        UnauthenticatedError,
        UnsupportedDeclarationError,
        UntrustedSignatureError,
        VerificationError,
        WorkspaceNotVisibleError,
    )
    from yoi_bundles.model.ids import CommitId, Digest, Name, RuntimeId, WorkerId, WorkspaceId
    from yoi_bundles.model.limits import Limits
    from yoi_bundles.model.powers import PowerRef, SecretRef
    from yoi_bundles.model.request import BundleRef, CreateWorkerRequest, Intent
    from yoi_bundles.model.revision import Provenance, Revision
    from yoi_bundles.model.spec import Decision, Receipt, ResolvedWorkerSpec
    from yoi_bundles.runtime.follow.following import Following, follow
    from yoi_bundles.runtime.host.secrets import SecretValue
    from yoi_bundles.runtime.service import Runtime
    from yoi_bundles.runtime.workers.launch import LaunchMount, LaunchPlan, LaunchPrompt
    from yoi_bundles.wire.client.backend_client import BackendClient
    from yoi_bundles.wire.client.http import HttpClient
    from yoi_bundles.wire.client.runtime_client import RuntimeClient
    from yoi_bundles.wire.messages.publishing import PublishReply, PublishRequest
    from yoi_bundles.wire.messages.runtimes import (
        BundleStatus,
        PutResult,
        RegisterRuntime,
        SyncReply,
        SyncRequest,
    )
    from yoi_bundles.wire.messages.workers import CreatedWorker, ResolveReport, WorkerView

__version__: str = VERSION

__all__ = [
    "Backend",
    "BackendClient",
    "BundleError",
    "BundleMissingError",
    "BundleRef",
    "BundleRequiredError",
    "BundleStatus",
    "ChannelGoneError",
    "CommitId",
    "CreateWorkerRequest",
    "CreatedWorker",
    "Decision",
    "Digest",
    "DigestMismatchError",
    "Following",
    "ForbiddenError",
    "ForbiddenMaterialError",
    "ForbiddenModeError",
    "ForbiddenPathError",
    "HttpClient",
    "Intent",
    "InvalidHostPolicyError",
    "InvalidInputError",
    "InvalidManifestError",
    "InvalidProfileSelectorError",
    "LaunchMount",
    "LaunchPlan",
    "LaunchPrompt",
    "Limits",
    "MalformedBundleError",
    "MissingObjectError",
    "MissingPrerequisiteError",
    "Name",
    "NotFastForwardError",
    "PolicyDeniedError",
    "PolicyError",
    "PowerRef",
    "Provenance",
    "PublishReply",
    "PublishRequest",
    "PublishTarget",
    "PutResult",
    "Receipt",
    "RegisterRuntime",
    "ResolveReport",
    "ResolvedWorkerSpec",
    "Revision",
    "RevisionConflictError",
    "RollbackRefusedError",
    "Runtime",
    "RuntimeClient",
    "RuntimeId",
    "SecretRef",
    "SecretValue",
    "SshCommitSigner",
    "StaleBundleError",
    "StorageFullError",
    "StoreCorruptError",
    "StoreError",
    "SyncReply",
    "SyncRequest",
    "TooLargeError",
    "TooManyRequestsError",
    "TransportError",
    "UnauthenticatedError",
    "UnsupportedDeclarationError",
    "UntrustedSignatureError",
    "VerificationError",
    "WorkerId",
    "WorkerView",
    "WorkspaceId",
    "WorkspaceNotVisibleError",
    "WorkspacePublisher",
    "__version__",
    "follow",
    "publish",
]

_MODULES = {
    "PublishTarget": "author.publisher",
    "SshCommitSigner": "author.signing",
    "WorkspacePublisher": "author.workspace_publisher",
    "publish": "author.workspace_publisher",
    "Backend": "backend.service",
    "BundleError": "errors",
    "BundleMissingError": "errors",
    "BundleRequiredError": "errors",
    "ChannelGoneError": "errors",
    "DigestMismatchError": "errors",
    "ForbiddenError": "errors",
    "ForbiddenMaterialError": "errors",
    "ForbiddenModeError": "errors",
    "ForbiddenPathError": "errors",
    "InvalidHostPolicyError": "errors",
    "InvalidInputError": "errors",
    "InvalidManifestError": "errors",
    "InvalidProfileSelectorError": "errors",
    "MalformedBundleError": "errors",
    "MissingObjectError": "errors",
    "MissingPrerequisiteError": "errors",
    "NotFastForwardError": "errors",
    "PolicyDeniedError": "errors",
    "PolicyError": "errors",
    "RevisionConflictError": "errors",
    "RollbackRefusedError": "errors",
    "StaleBundleError": "errors",
    "StorageFullError": "errors",
    "StoreCorruptError": "errors",
    "StoreError": "errors",
    "TooLargeError": "errors",
    "TooManyRequestsError": "errors",
    "TransportError": "errors",
    "UnauthenticatedError": "errors",
    "UnsupportedDeclarationError": "errors",
    "UntrustedSignatureError": "errors",
    "VerificationError": "errors",
    "WorkspaceNotVisibleError": "errors",
    "CommitId": "model.ids",
    "Digest": "model.ids",
    "Name": "model.ids",
    "RuntimeId": "model.ids",
    "WorkerId": "model.ids",
    "WorkspaceId": "model.ids",
    "Limits": "model.limits",
    "PowerRef": "model.powers",
    "SecretRef": "model.powers",
    "BundleRef": "model.request",
    "CreateWorkerRequest": "model.request",
    "Intent": "model.request",
    "Provenance": "model.revision",
    "Revision": "model.revision",
    "Decision": "model.spec",
    "Receipt": "model.spec",
    "ResolvedWorkerSpec": "model.spec",
    "Following": "runtime.follow.following",
    "follow": "runtime.follow.following",
    "SecretValue": "runtime.host.secrets",
    "Runtime": "runtime.service",
    "LaunchMount": "runtime.workers.launch",
    "LaunchPlan": "runtime.workers.launch",
    "LaunchPrompt": "runtime.workers.launch",
    "BackendClient": "wire.client.backend_client",
    "HttpClient": "wire.client.http",
    "RuntimeClient": "wire.client.runtime_client",
    "PublishReply": "wire.messages.publishing",
    "PublishRequest": "wire.messages.publishing",
    "BundleStatus": "wire.messages.runtimes",
    "PutResult": "wire.messages.runtimes",
    "RegisterRuntime": "wire.messages.runtimes",
    "SyncReply": "wire.messages.runtimes",
    "SyncRequest": "wire.messages.runtimes",
    "CreatedWorker": "wire.messages.workers",
    "ResolveReport": "wire.messages.workers",
    "WorkerView": "wire.messages.workers",
}
"""Name → the module that has it."""


def __getattr__(name: str) -> object:
    """The module's attribute, loaded now (PEP 562).

    Raises:
        AttributeError: There is none of this name.
    """
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
