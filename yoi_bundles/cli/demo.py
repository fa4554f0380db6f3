"""``yoi-bundles demo``: the main job over real HTTP, with the commands a user would type."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import click

from yoi_bundles.cli.demo_stage import Stage, heading, remark
from yoi_bundles.cli.extras import needs_server_extra
from yoi_bundles.cli.output import bad, bold, good, say

WORKSPACE = "payments"
NO_SUCH_DIGEST = "0" * 63 + "1"

HOST_POLICY = """\
schema = 1

[bundles]
required_for = ["always"]          # no Worker without a synced bundle
workspaces = ["payments"]

[[secret]]                         # the bundle knows only the name secret:anthropic-api-key
name = "anthropic-api-key"
env = "DEMO_ANTHROPIC_KEY"

[[mount]]
name = "checkout"
path = "{checkout}"
mode = "rw"

[[network]]
hosts = ["api.anthropic.com"]      # the bundle also asks for another provider: narrowed

[capabilities.git]
operations = ["read", "commit"]    # no push; and no [capabilities.shell] at all

[[tool]]
tools = ["*"]
"""

VISIBILITY = """\
schema = 1

[[rule]]                           # everything not named here is denied
labels = { region = "eu" }
workspaces = ["payments"]
"""


@click.command("demo")
@needs_server_extra("demo")
@click.option("--keep", is_flag=True, help="Keep the directory and print where it is.")
def command(*, keep: bool) -> int:
    """The whole path over real HTTP, in a temporary directory.

    Starts a Backend and two Runtimes as processes of their own on loopback, publishes a workspace,
    syncs it, makes a Worker, syncs a change, and shows what is refused. Everything is stopped and
    removed at the end.
    """
    root = Path(tempfile.mkdtemp(prefix="yoi-demo-"))
    try:
        with Stage(root) as stage:
            play(stage)
    finally:
        if keep:
            say(f"kept in {root}")
        else:
            shutil.rmtree(root)
    return 0


def play(stage: Stage) -> None:
    """The acts of the demo, in order.

    Raises:
        BundleError: A step did not do what it shows.
    """
    servers(stage)
    first_publish(stage)
    first_sync(stage)
    first_worker(stage)
    second_revision(stage)
    refusals(stage)
    history(stage)
    say()
    say(good(bold("Done.")) + " Next: yoi-bundles init my-workspace")


def servers(stage: Stage) -> None:
    """Three processes, each with its own directory, talking over HTTP only."""
    heading(1, "A Backend and two Runtimes, three processes on loopback")
    checkout = stage.root / "checkout"
    checkout.mkdir()
    stage.write("host/policy.toml", HOST_POLICY.format(checkout=checkout))
    stage.write("visibility.toml", VISIBILITY)
    stage.run("backend token create ada --role publisher -o publisher.token", data="backend")
    stage.run("backend token create olu --role operator -o operator.token", data="backend")
    for name in ("eu-1", "us-1"):
        stage.run(f"runtime token create backend --role backend -o {name}.token", data=name)
    stage.start("backend serve --visibility visibility.toml", data="backend")
    for name in ("eu-1", "us-1"):
        stage.start(f"runtime serve --id {name} --policy host/policy.toml", data=name)
        region = name.partition("-")[0]
        stage.run(
            f"runtime register {name} --label region={region} --endpoint {stage.urls[name]} "
            f"--push-token-file {name}.token -o {name}.pull-token",
            to_backend="operator.token",
        )
    remark("The host policy lies outside every repository and has the last word.")


def first_publish(stage: Stage) -> None:
    """From files to a commit in a bare repository."""
    heading(2, "A workspace becomes a commit; its digest is the git tree id")
    stage.run(f"init workspace --id {WORKSPACE} --name 'Payments team'")
    stage.run("check workspace")
    stage.run("publish workspace -m 'First profiles'", to_backend="publisher.token")


def first_sync(stage: Stage) -> None:
    """Only the Runtime that may see it gets it."""
    heading(3, "Sync: the visibility policy decides who gets it")
    stage.run(f"sync {WORKSPACE}", to_backend="operator.token")
    reply = stage.ask_as_runtime("us-1", stage.digest(WORKSPACE))
    remark(f"us-1 asks for the digest itself, with its own token: {bad(reply)}")
    remark("That is the answer for a digest that does not exist: nothing is given away.")


def first_worker(stage: Stage) -> None:
    """A small request becomes a spec under host policy."""
    heading(4, "A Worker from profile + digest + intent, under the host's policy")
    stage.run(
        f"worker create coder-1 project:coder -w {WORKSPACE} --intent 'Fix the rounding bug'",
        to_runtime="eu-1",
    )
    remark("Granted, narrowed, refused: each with the host's rule and the line that asked.")


def second_revision(stage: Stage) -> None:
    """A change costs what changed."""
    heading(5, "One prompt changes; only that crosses the wire")
    full = stage.last_sent_bytes
    prompt = stage.root / "workspace/prompts/role/coder.md"
    prompt.write_text(
        prompt.read_text("utf-8") + "\nAmounts are integers of minor units; never floats.\n",
        "utf-8",
    )
    stage.run("publish workspace -m 'Amounts are integers'", to_backend="publisher.token")
    stage.run(f"sync {WORKSPACE}", to_backend="operator.token")
    sent = stage.last_sent_bytes
    remark(f"{sent:,} bytes instead of {full:,}: {bold(f'{full / sent:.0f} times less')}.")


def refusals(stage: Stage) -> None:
    """What is not allowed, not there, or not what it says."""
    heading(6, "Refusals: typed, complete, with a hint")
    remark("The operator profile requires a shell; this host grants none:")
    stage.run(
        f"worker create operator-1 project:operator -w {WORKSPACE}", to_runtime="eu-1", expect=1
    )
    remark("A bundle that is not held:")
    stage.run(
        f"worker create coder-2 -w {WORKSPACE} --digest {NO_SUCH_DIGEST}",
        to_runtime="eu-1",
        expect=4,
    )
    remark("A bundle file sent under a digest that is not its own:")
    remark(bad(stage.put_under_wrong_digest("eu-1", WORKSPACE, NO_SUCH_DIGEST)))


def history(stage: Stage) -> None:
    """Operators need no tool of ours."""
    heading(7, "Operators look at everything with ordinary git")
    repository = f"backend/backend/workspaces/{WORKSPACE}.git"
    stage.run_git(f"--git-dir {repository} log --stat --format=medium")
    stage.run_git(f"--git-dir {repository} fsck --full --strict")
    remark("fsck found nothing.")
