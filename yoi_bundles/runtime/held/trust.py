"""Trust: whether a workspace may take a step that was received. Pure: values in, or an error.

The rules, in the order in which they are tried:

(1) If host policy requires signatures, every incoming commit is signed and its signature verified
    against the allowed signers, limited to the workspace's principals where policy lists them.
    Without a verifier nothing is verified, so nothing is believed.
(2) The commit that is current already is no step: it is accepted again.
(3) The current number under another commit is equivocation: two histories, one of them a lie.
(4) A number that is not above the current one is a rollback.
(5) A number above the current one must come from a commit that descends from the current one.

Source: docs/threat-model.md, "Rollback and forks"; TUF 5.3.5 (version numbers only rise).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TypeAlias

from yoi_bundles.errors import (
    NotFastForwardError,
    RollbackRefusedError,
    StaleBundleError,
    UntrustedSignatureError,
)
from yoi_bundles.model.host_policy import BundleRules, TrustRules
from yoi_bundles.model.revision import Advance, ReceivedCommit, Revision

SignatureVerifier: TypeAlias = Callable[[ReceivedCommit, tuple[str, ...] | None], None]
"""Takes a commit and who may sign it (None: any allowed signer); raises
`UntrustedSignatureError` unless the signature is good."""


def verify_advance(
    advance: Advance, *, trust: TrustRules, verify_signature: SignatureVerifier | None
) -> None:
    """Return if the workspace may take this step; the rules are numbered above.

    Args:
        advance: The current revision, the incoming commits, and whether the tip descends.
        trust: Host policy's ``[trust]``.
        verify_signature: Checks one commit; None if this host cannot check signatures.

    Raises:
        UntrustedSignatureError: Signatures are required and one is missing or not good.
        RollbackRefusedError: The tip is older than what is accepted here.
        NotFastForwardError: The tip is another commit of the current number, or does not descend
            from the current one.
    """
    # (1)
    verify_signed(advance.incoming, trust=trust, verify_signature=verify_signature)
    current, tip = advance.current, advance.tip
    # (2)
    if current is None or tip.commit == current.commit:
        return
    # (3)
    if tip.number == current.number:
        raise _not_fast_forward(
            f"revision {tip.number} of {tip.workspace} is another commit here", current, tip
        )
    # (4)
    if tip.number < current.number:
        raise RollbackRefusedError(
            f"revision {tip.number} of {tip.workspace} is older than {current.number}, which is "
            "accepted here",
            hint="to go back, publish the older content as a new revision",
            expected=current.number,
            actual=tip.number,
        )
    # (5)
    if not advance.descends:
        raise _not_fast_forward(
            f"revision {tip.number} of {tip.workspace} does not descend from {current.number}, "
            "which is accepted here",
            current,
            tip,
        )


def verify_signed(
    commits: Iterable[ReceivedCommit],
    *,
    trust: TrustRules,
    verify_signature: SignatureVerifier | None,
) -> None:
    """Return if host policy requires no signatures, or each commit carries a good one.

    Args:
        commits: Each with its exact bytes.
        trust: Host policy's ``[trust]``; it alone decides what must be signed.
        verify_signature: Checks one commit; None if this host cannot check signatures.

    Raises:
        UntrustedSignatureError: A signature is missing or not good.
    """
    if not trust.signature_required:
        return
    if verify_signature is None:
        raise UntrustedSignatureError(
            "host policy requires signatures and this host cannot verify any",
            hint="install ssh-keygen, and name allowed_signers_file in [trust]",
        )
    for commit in commits:
        if not commit.revision.is_signed:
            raise UntrustedSignatureError(
                f"the commit of revision {commit.revision.number} is not signed",
                hint="host policy wants every commit signed by an allowed signer",
                commit=str(commit.revision.commit),
            )
        verify_signature(commit, trust.principals.get(commit.revision.workspace))


def verify_recent(revision: Revision, newest: Revision, rules: BundleRules) -> None:
    """Return if new Workers may be made from a held revision.

    What carries the newest bundle is as good as the newest, whatever its number.

    Args:
        revision: The one that is asked for.
        newest: The newest one accepted here.
        rules: ``max_behind``; None allows every held revision.

    Raises:
        RollbackRefusedError: It is further behind than that.
    """
    if rules.max_behind is None or revision.digest == newest.digest:
        return
    behind = newest.number - revision.number
    if behind > rules.max_behind:
        raise RollbackRefusedError(
            f"revision {revision.number} of {revision.workspace} is {behind} behind the newest one "
            f"here; this host makes new Workers from at most {rules.max_behind} behind",
            hint="name the newest bundle in the request",
            limit=rules.max_behind,
            actual=behind,
            rule="bundles.max_behind",
        )


def _not_fast_forward(message: str, current: Revision, tip: Revision) -> NotFastForwardError:
    return NotFastForwardError(
        message,
        hint="somebody rewrote the workspace's history: ask its publisher before anything else",
        expected=str(current.commit),
        actual=str(tip.commit),
    )


def verify_fresh(last_contact: datetime | None, now: datetime, rules: BundleRules) -> str | None:
    """Return a warning, or None, if what is held is fresh enough to make Workers from.

    Args:
        last_contact: When a Backend last confirmed what is held, with time zone; None: never.
        now: The time, with time zone.
        rules: ``stale_warn_seconds`` and ``stale_refuse_seconds``; None means never.

    Raises:
        StaleBundleError: The last contact is longer ago than ``stale_refuse_seconds``.
    """
    if rules.stale_warn_seconds is None and rules.stale_refuse_seconds is None:
        return None
    if last_contact is None:
        age, shown = float("inf"), "no Backend has ever confirmed what is held here"
    else:
        # A clock that was set back must not make old content look fresh for ever.
        age = abs((now - last_contact).total_seconds())
        shown = f"the last contact with a Backend was {int(age)} seconds ago"
    if rules.stale_refuse_seconds is not None and age > rules.stale_refuse_seconds:
        raise StaleBundleError(
            f"{shown}; this host refuses after {rules.stale_refuse_seconds}",
            hint="restore the connection to the Backend, or change stale_refuse_seconds",
            limit=rules.stale_refuse_seconds,
            actual=int(age) if last_contact else None,
        )
    if rules.stale_warn_seconds is not None and age > rules.stale_warn_seconds:
        return f"{shown}; this host warns after {rules.stale_warn_seconds}"
    return None
