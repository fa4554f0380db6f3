"""Options that make a `CreateWorkerRequest`, and how resolutions are shown."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from yoi_bundles.cli.options import values_from_options
from yoi_bundles.cli.output import bad, bold, dim, good, safe, say, warn
from yoi_bundles.errors import BundleMissingError
from yoi_bundles.model.ids import CommitId, Digest, WorkerId, WorkspaceId
from yoi_bundles.model.powers import PowerRef
from yoi_bundles.model.request import BundleRef, CreateWorkerRequest, Intent

if TYPE_CHECKING:
    from yoi_bundles.cli.ports import RuntimePort
    from yoi_bundles.model.spec import Decision, ResolvedWorkerSpec
    from yoi_bundles.wire.messages.workers import ResolveReport, WorkerView

F = TypeVar("F", bound=Callable[..., Any])


def request_options(function: F) -> F:
    """Options of a request, given to the command as ``asked``."""

    @click.option("-w", "--workspace", help="Workspace whose bundle to use (none: builtin mode).")
    @click.option("--digest", help="Bundle digest  [default: the newest one held]")
    @click.option("--commit", help="Which of the digest's revisions, if it has several.")
    @click.option("--intent", default="started by hand", show_default=True, help="What it is for.")
    @click.option("--require", multiple=True, metavar="POWER", help="Power it must get.")
    @click.option("--only", multiple=True, metavar="POWER", help="Ask for no other powers.")
    @functools.wraps(function)
    def wrapped(
        *args: Any,  # noqa: ANN401
        workspace: str | None,
        digest: str | None,
        commit: str | None,
        intent: str,
        require: Sequence[str],
        only: Sequence[str],
        **kwargs: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        if workspace is None and (digest is not None or commit is not None):
            raise click.UsageError("--digest and --commit need --workspace")
        with values_from_options():
            asked = Asked(
                workspace=None if workspace is None else WorkspaceId.parse(workspace),
                digest=None if digest is None else Digest.parse(digest),
                commit=None if commit is None else CommitId.parse(commit),
                intent=Intent(summary=intent),
                require=tuple(PowerRef.parse(text) for text in require),
                only=tuple(PowerRef.parse(text) for text in only) if only else None,
            )
        return function(*args, asked=asked, **kwargs)

    return wrapped  # type: ignore[return-value]


@dataclass(frozen=True, slots=True)
class Asked:
    """What the options of `request_options` said."""

    workspace: WorkspaceId | None
    digest: Digest | None
    commit: CommitId | None
    intent: Intent
    require: tuple[PowerRef, ...]
    only: tuple[PowerRef, ...] | None

    def request(
        self, worker_id: str, selector: str, bundle: BundleRef | None
    ) -> CreateWorkerRequest:
        """The request for one bundle.

        Raises:
            InvalidInputError: The worker id is none, or the selector is too long.
        """
        with values_from_options():
            return CreateWorkerRequest(
                worker_id=WorkerId.parse(worker_id),
                selector=selector,
                bundle=bundle,
                intent=self.intent,
                required_capabilities=self.require,
                optional_capabilities=self.only,
            )

    def bundle(self, port: RuntimePort) -> BundleRef | None:
        """The bundle meant: named by digest, or the newest one the Runtime holds.

        Raises:
            BundleMissingError: The Runtime holds nothing of the workspace.
        """
        if self.workspace is None:
            return None
        digest = self.digest
        if digest is None:
            held = port.bundles(self.workspace).haves
            digest = next((one.current for one in held if one.current is not None), None)
        if digest is None:
            raise BundleMissingError(
                f"the Runtime holds no bundle of {self.workspace}",
                hint="`yoi-bundles sync` it first",
            )
        return BundleRef(workspace=self.workspace, digest=digest, commit=self.commit)


OUTCOME = {"granted": good, "narrowed": warn, "refused": bad}


def print_report(report: ResolveReport, *, explain: bool) -> None:
    """A dry run for people."""
    print_spec(report.spec, str(report.spec_digest))
    print_decisions(report.decisions)
    for text in report.warnings:
        say(f"{warn('warning')}: {safe(text)}")
    if explain:
        say(bold("which layer set what"))
        for origin in report.explanation:
            places = " → ".join(f"{place.file}:{place.line}" for place in origin.set_by)
            say(f"  {safe(origin.field):<32} {dim(safe(places))}")


def print_worker(view: WorkerView) -> None:
    """A Worker for people."""
    say(bold(f"worker {view.worker_id}"))
    print_spec(view.spec, str(view.receipt.spec_digest))
    print_decisions(view.decisions)
    for text in view.warnings:
        say(f"{warn('warning')}: {safe(text)}")


def print_spec(spec: ResolvedWorkerSpec, digest: str) -> None:
    """The parts of a spec that people look for."""
    layers = " → ".join(str(one.profile) for one in spec.layers)
    rows = {
        "profile": f"{spec.profile}  {dim('from ' + layers)}",
        "bundle": f"{spec.workspace} {spec.bundle.short}… ({spec.mode})",
        "model": f"{spec.model.ref} ({safe(spec.model.upstream)})",
        "prompts": ", ".join(str(one.key) for one in _prompts(spec)) or "-",
        "tools": ", ".join(f"{one.name}:{one.action}" for one in spec.tools) or "-",
        "plugins": ", ".join(f"{one.name} {one.version}" for one in spec.plugins) or "-",
        "mounts": ", ".join(f"{one.ref} {one.mode}" for one in spec.mounts) or "-",
        "network": ", ".join(host for one in spec.network for host in one.hosts) or "-",
        "shell": ", ".join(text for one in spec.shell for text in one.commands) or "-",
        "secrets": ", ".join(str(one) for one in spec.secrets) or "-",
        "spec digest": digest,
    }
    for key, value in rows.items():
        say(f"  {key:<12} {value}")


def _prompts(spec: ResolvedWorkerSpec) -> list[Any]:
    first = [] if spec.engine.system_prompt is None else [spec.engine.system_prompt]
    return [*first, *spec.engine.prompts]


def print_decisions(decisions: Sequence[Decision]) -> None:
    """What was asked, what the host said, and by which rule."""
    say(bold("decisions"))
    for one in decisions:
        place = f"{one.asked_by[0].file}:{one.asked_by[0].line}" if one.asked_by else ""
        need = "required" if one.required else "optional"
        say(
            f"  {OUTCOME[one.outcome](f'{one.outcome:<8}')} {one.power!s:<28} {need}  "
            f"{dim(f'[{safe(one.rule)}] {place}')}"
        )
        if one.outcome != "granted":
            say(f"           {safe(one.reason)}")
