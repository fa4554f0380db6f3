"""``yoi-bundles verify``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from yoi_bundles.cli.exit_codes import INTEGRITY, OK
from yoi_bundles.cli.options import FILE, data_option, json_option, policy_option
from yoi_bundles.cli.output import bad, dim, good, print_json, safe, say, warn
from yoi_bundles.errors import BundleMissingError, InvalidInputError
from yoi_bundles.model.ids import WorkspaceId

if TYPE_CHECKING:
    from yoi_bundles.model.host_policy import TrustRules
    from yoi_bundles.upkeep.signature_verification import SignatureReport


@click.command("verify")
@click.argument("workspace", required=False)
@click.argument("revision", required=False)
@click.option("--all", "is_all", is_flag=True, help="Everything that is held: the default.")
@click.option(
    "--signatures", "is_signatures", is_flag=True, help="Verify signatures under the host policy."
)
@click.option(
    "--allowed-signers",
    type=FILE,
    help="Verify that all is signed by keys of this file; asks no host policy.",
)
@policy_option
@data_option
@json_option
def command(
    *,
    workspace: str | None,
    revision: str | None,
    is_all: bool,
    is_signatures: bool,
    allowed_signers: Path | None,
    policy: Path | None,
    data: Path,
    is_json: bool,
) -> int:
    """Hash everything that is held again: objects, refs and checkouts.

    Looks at the Backend's and the Runtime's part of the data directory. With WORKSPACE only at
    that one, with REVISION only at that revision. With --signatures it also says who signed each
    revision. Exit code 6: something is damaged, or not signed as it must be.
    """
    from yoi_bundles.upkeep.signature_verification import verify_signatures
    from yoi_bundles.upkeep.verification import verify_data

    if is_all and workspace is not None:
        raise click.UsageError("--all is everything: name no WORKSPACE")
    trust = None
    if is_signatures or allowed_signers is not None:
        trust = _trust(allowed_signers, policy, data)
    only = None if workspace is None else WorkspaceId.parse(workspace)
    reports = verify_data(data, only, revision)
    if only is not None and not reports:
        raise BundleMissingError(f"nothing is held of the workspace {only}")
    damaged = sum(len(report.problems) for report in reports)
    signatures = [] if trust is None or damaged else verify_signatures(data, trust, only, revision)
    unbelieved = sum(one.fault is not None for one in signatures)
    is_bad = damaged > 0 or (trust is not None and trust.signature_required and unbelieved > 0)
    if is_json:
        document = {"ok": not is_bad, "reports": [report.as_json() for report in reports]}
        if trust is not None:
            document["signatures"] = [one.as_json() for one in signatures]
        print_json(document)
        return INTEGRITY if is_bad else OK
    for report in reports:
        verdict = bad("damaged") if report.problems else good("sound")
        say(f"{verdict}  {report.where} {report.workspace}: {report.objects} objects")
        for problem in report.problems:
            say(f"    {problem}")
    if not reports:
        say("nothing is held here")
    if trust is not None:
        _print_signatures(signatures, is_required=trust.signature_required)
    return INTEGRITY if is_bad else OK


def _trust(allowed_signers: Path | None, policy: Path | None, data: Path) -> TrustRules:
    """Whose signatures count."""
    from yoi_bundles.model.host_policy import TrustRules
    from yoi_bundles.runtime.host.policy_file import load_host_policy

    if allowed_signers is not None:
        return TrustRules(
            signature_required=True, allowed_signers_file=str(allowed_signers.absolute())
        )
    if policy is None:
        raise InvalidInputError(
            "there is no host policy to verify signatures under",
            hint="name it with --policy, or a file of keys with --allowed-signers",
        )
    return load_host_policy(policy, state_directory=data / "runtime").policy.trust


def _print_signatures(signatures: Sequence[SignatureReport], *, is_required: bool) -> None:
    for one in signatures:
        what = f"{one.where} {one.revision.workspace} r{one.revision.number}"
        if one.fault is None:
            say(f"{good('signed')}  {what} by {safe(one.signer or '')}")
        elif is_required:
            say(f"{bad('refused')}  {what}: {safe(one.fault)}")
        else:
            say(f"{warn('not believed')}  {what}: {safe(one.fault)} {dim('(not required)')}")
