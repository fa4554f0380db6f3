"""Dry runs that were answered before: the same question in the same circumstances, once more.

Nothing that counts is taken from here: policy, revision and host are looked at for each request,
and an answer is given again only if all of them are the very objects it was made from.

Source: docs/adr/0008-spec-determinism.md.
"""

from __future__ import annotations

from typing import NamedTuple

from yoi_bundles.model.host_policy import HostFacts
from yoi_bundles.model.request import CreateWorkerRequest
from yoi_bundles.model.revision import Revision
from yoi_bundles.runtime.host.policy_file import LoadedPolicy
from yoi_bundles.wire.messages.workers import ResolveReport

_KEPT = 1024


class Circumstances(NamedTuple):
    """What a resolution depends on beside the request; none of it ever changes.

    Args:
        policy: The rules in force.
        revision: The held revision that the request means, which may be used; None in builtin mode.
        facts: What was seen of the host.
        warning: That nobody has heard of the workspace for long.
    """

    policy: LoadedPolicy
    revision: Revision | None
    facts: HostFacts
    warning: str | None


class AnswerCache:
    """The newest answers; safe to share between threads, as each step is one of a dictionary."""

    def __init__(self) -> None:
        self._answers: dict[str, tuple[Circumstances, ResolveReport]] = {}

    def find(self, request: CreateWorkerRequest, seen: Circumstances) -> ResolveReport | None:
        """The answer to an equal request in just these circumstances."""
        known = self._answers.get(request.model_dump_json())
        if known is None:
            return None
        before, answer = known
        is_same = (
            before.policy is seen.policy
            and before.revision is seen.revision
            and before.facts is seen.facts
            and before.warning == seen.warning
        )
        return answer if is_same else None

    def keep(
        self, request: CreateWorkerRequest, seen: Circumstances, answer: ResolveReport
    ) -> None:
        """Remember an answer; all are forgotten when there are too many."""
        if len(self._answers) >= _KEPT:
            self._answers = {}
        self._answers[request.model_dump_json()] = (seen, answer)
