"""Every error this project raises: one root, a stable ``code`` each, a family per who must act.

Its HTTP status stands in ``wire/messages/problems.py``, its exit code in ``cli/exit_codes.py``;
a test fails on a class that either table forgets.
"""

from __future__ import annotations

from typing import ClassVar, TypeAlias

Fact: TypeAlias = str | int | bool | list[str] | list[dict[str, "str | int | bool | None"]] | None
"""A typed fact of an error: never a secret value, a host path or bytes that came from outside."""


class BundleError(Exception):
    """Root of all errors of this project.

    Args:
        message: What happened, to what; one sentence, no secret, no host path.
        hint: What to do about it.
        **facts: Machine-readable facts (``expected``, ``actual``, ``limit``, ``file``, ``line``…);
            each is an entry of ``facts`` and a member of the problem document on the wire.
    """

    code: ClassVar[str] = "internal_error"
    default_hint: ClassVar[str | None] = None

    def __init__(self, message: str, *, hint: str | None = None, **facts: Fact) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint if hint is not None else self.default_hint
        self.facts: dict[str, Fact] = {k: v for k, v in facts.items() if v is not None}

    def __reduce__(self) -> tuple[object, ...]:
        """Errors cross process and pickle borders whole."""
        return (_rebuild, (type(self), self.message, self.hint, self.facts))


def _rebuild(
    cls: type[BundleError], message: str, hint: str | None, facts: dict[str, Fact]
) -> BundleError:
    return cls(message, hint=hint, **facts)


# --- the caller must act: what was asked for is wrong -----------------------------------------


class InvalidInputError(BundleError):
    """The caller's input can never work as it is."""

    code = "invalid_input"


class InvalidProfileSelectorError(InvalidInputError):
    """The selector names no profile of the bundle."""

    code = "invalid_profile_selector"


class UnsupportedDeclarationError(InvalidInputError):
    """A directory, key, kind or schema number that this version does not know."""

    code = "unsupported_declaration"
    default_hint = "remove it, or use a version that knows it"


class InvalidManifestError(InvalidInputError):
    """A file of the tree does not follow its schema, or a reference does not resolve inside it."""

    code = "invalid_manifest"
    default_hint = "`yoi-bundles check` says what is wrong, with file and line"


class ForbiddenMaterialError(InvalidInputError):
    """A secret value, a host path or a socket stands in a bundle."""

    code = "forbidden_material"
    default_hint = "keep secrets in the host's secret store and refer to them as secret:<name>"


class BundleMissingError(InvalidInputError):
    """The digest (or worker, or workspace) is not held here, or may not be seen by the caller."""

    code = "bundle_missing"


class WorkspaceNotVisibleError(BundleMissingError):
    """The workspace may not be seen by the caller; answers on the wire as ``bundle_missing``."""

    code = "workspace_not_visible"


class RevisionConflictError(InvalidInputError):
    """Another writer was faster, or the same name was used for something else."""

    code = "revision_conflict"


class ChannelGoneError(InvalidInputError):
    """The workspace is visible but has no such channel (any more)."""

    code = "channel_gone"


class UnauthenticatedError(InvalidInputError):
    """No credential, or one that is not known."""

    code = "unauthenticated"


class ForbiddenError(InvalidInputError):
    """The credential is known but its role may not do this."""

    code = "forbidden"


# --- the sender must act: what arrived cannot be believed --------------------------------------


class VerificationError(BundleError):
    """What arrived is not what it claims to be."""

    code = "verification_failed"


class DigestMismatchError(VerificationError):
    """Content has another id than the one it was asked for by."""

    code = "digest_mismatch"
    default_hint = "ask for the bundle by the digest of its tree: `git rev-parse <commit>^{tree}`"


class ForbiddenPathError(VerificationError):
    """A name in a tree that is unsafe on some supported file system."""

    code = "forbidden_path"
    default_hint = "rename it: letters, digits, `-`, `_` and single dots are safe everywhere"


class ForbiddenModeError(VerificationError):
    """A tree entry that is neither a regular file (100644) nor a directory (40000)."""

    code = "forbidden_mode"
    default_hint = "keep only plain files (100644) and directories in a bundle"


class MalformedBundleError(VerificationError):
    """Header, pack, object or commit bytes that do not follow their format."""

    code = "malformed_bundle"
    default_hint = (
        "have it made anew by a Backend; a file that was changed on its way cannot be mended"
    )


class MissingObjectError(VerificationError):
    """The tip's closure is not exactly what came plus what the prerequisites hold."""

    code = "missing_object"
    default_hint = "ask for a bundle file on a commit that is held here, or for a full one"


class MissingPrerequisiteError(VerificationError):
    """The bundle file builds on a commit that is not held here; ``held`` names what is."""

    code = "missing_prerequisite"


class TooLargeError(VerificationError):
    """A limit was passed; ``limit`` and ``limit_name`` say which."""

    code = "too_large"
    default_hint = "make it smaller, or have the operator raise the limit in [limits.receive]"


class NotFastForwardError(VerificationError):
    """The commit does not descend from the newest one accepted here."""

    code = "not_fast_forward"


class RollbackRefusedError(VerificationError):
    """An older revision than the one accepted here."""

    code = "rollback_refused"


class UntrustedSignatureError(VerificationError):
    """Host policy wants a signature by an allowed signer and there is none."""

    code = "untrusted_signature"


# --- the host's operator must act ---------------------------------------------------------------


class PolicyError(BundleError):
    """The host's rules say no."""

    code = "policy_error"


class PolicyDeniedError(PolicyError):
    """Required powers were refused; ``refusals`` lists every one of them."""

    code = "policy_denied"


class BundleRequiredError(PolicyError):
    """Host policy wants a bundle and the request names none."""

    code = "bundle_required"


class StaleBundleError(PolicyError):
    """The last confirmed contact with the Backend is longer ago than host policy allows."""

    code = "stale_bundle"


class InvalidHostPolicyError(PolicyError):
    """The host policy file is unsafe, unreadable or wrong: the Runtime does not start."""

    code = "invalid_host_policy"


def is_refusal(error: BundleError) -> bool:
    """Whether an error is a judgement on what was sent, which the same bytes would meet again.

    A missing prerequisite is none: it speaks of the way something was sent. Neither is trouble
    with credentials, with this machine or with the network.
    """
    content = (InvalidManifestError, UnsupportedDeclarationError, ForbiddenMaterialError)
    if isinstance(error, MissingPrerequisiteError):
        return False
    return isinstance(error, (VerificationError, PolicyError, *content))


# --- this machine must act ----------------------------------------------------------------------


class StoreError(BundleError):
    """Local storage failed."""

    code = "store_error"


class StoreCorruptError(StoreError):
    """Stored bytes are not what their name says."""

    code = "store_corrupt"


class StorageFullError(StoreError):
    """No room left; nothing was changed."""

    code = "storage_full"


# --- the network --------------------------------------------------------------------------------


class TransportError(BundleError):
    """A peer could not be reached or did not answer as agreed.

    Args:
        retryable: True if the same call may succeed later.
    """

    code = "transport_failed"

    def __init__(
        self, message: str, *, hint: str | None = None, retryable: bool = True, **facts: Fact
    ) -> None:
        super().__init__(message, hint=hint, retryable=retryable, **facts)
        self.retryable = retryable


class TooManyRequestsError(TransportError):
    """The server has no time for this caller now; ``retry_after_seconds`` says when to ask again.

    Nothing was done, so the same call may be repeated, whatever it is.
    """

    code = "too_many_requests"


def error_classes() -> tuple[type[BundleError], ...]:
    """All concrete error classes, for the tables of the outer layers and their tests."""
    found: list[type[BundleError]] = []
    queue: list[type[BundleError]] = [BundleError]
    while queue:
        cls = queue.pop()
        found.append(cls)
        queue.extend(cls.__subclasses__())
    return tuple(sorted(set(found), key=lambda cls: cls.code))
