"""Without the extra `server`: all but serving works, and what does not says in one line why."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from command_line import every_command

from yoi_bundles.cli.extras import SERVER
from yoi_bundles.cli.main import cli

INSTALL = "pip install 'yoi-bundles[server]'"
BLOCKED = (
    "import sys; sys.modules.update(dict.fromkeys(sys.argv[1].split(','), None));"
    "from yoi_bundles.cli.main import main; main(sys.argv[2:])"
)
"""None in the place of a module: it is not found, neither when looked for nor when imported."""
ALL = every_command(cli)
ALSO_OF_THE_EXTRA = ("uvloop",)


def run_without(*arguments: str, missing: tuple[str, ...] = (*SERVER, *ALSO_OF_THE_EXTRA)):
    return subprocess.run(
        [sys.executable, "-c", BLOCKED, ",".join(missing), *arguments],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


@pytest.fixture
def policy_file(tmp_path):
    path = tmp_path / "policy.toml"
    path.write_text('schema = 1\n\n[bundles]\nworkspaces = ["team"]\n')
    path.chmod(0o600)
    return str(path)


@pytest.mark.parametrize(
    "words",
    [
        "backend serve --data DATA",
        "runtime serve --id x --policy POLICY --data DATA",
        "runtime serve --policy POLICY --data DATA --backend http://127.0.0.1:1 --follow team",
        "demo",
        "schema --openapi DATA",
    ],
)
def test_a_command_that_needs_it_says_so_in_one_line(words, policy_file, tmp_path):
    data = tmp_path / "data"
    done = run_without(*words.replace("POLICY", policy_file).replace("DATA", str(data)).split())

    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert INSTALL in done.stderr
    assert not data.exists(), "it made something before it looked"


@pytest.mark.parametrize("name", SERVER)
def test_one_library_that_is_missing_is_enough(name):
    done = run_without("demo", missing=(name,))

    assert done.returncode == 2
    assert INSTALL in done.stderr


def test_machines_are_told_which_libraries_are_missing():
    done = run_without("demo", "--json", missing=("uvicorn",))

    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_everything_else_works(policy_file, tmp_path):
    """One process that publishes, carries a bundle file to a Runtime, and looks at both."""
    program = (
        "import sys; sys.modules.update(dict.fromkeys(sys.argv[1].split(','), None));"
        "import json; from yoi_bundles.cli.main import run;"
        "print(json.dumps([run(one) for one in json.loads(sys.argv[2])]))"
    )
    data = ["--data", str(tmp_path / "data")]
    team, file = str(tmp_path / "team"), str(tmp_path / "team.bundle")
    host = ["-w", "team", "--policy", policy_file, *data]
    commands = [
        ["init", team], ["check", team], ["publish", team, "--author", "Ada", *data],
        ["log", "team", *data], ["bundle", "create", "team", "-o", file, *data],
        ["bundle", "import", file, *host], ["verify", *data], ["schema"],
        ["backend", "gc", *data], ["runtime", "gc", *data], ["sync", "team", *data],
        ["backend", "token", "list", *data], ["runtime", "list", *data],
    ]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", program, ",".join(SERVER), json.dumps(commands)],
        capture_output=True, text=True, check=True, timeout=60, cwd=tmp_path,
    )  # fmt: skip

    assert json.loads(done.stdout.splitlines()[-1]) == [0] * len(commands), done.stderr


def test_every_command_helps():
    program = (
        "import sys; sys.modules.update(dict.fromkeys(sys.argv[1].split(','), None));"
        "import json; from yoi_bundles.cli.main import run;"
        "print(json.dumps([run([*one, '--help']) for one in json.loads(sys.argv[2])]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, ",".join(SERVER), json.dumps(ALL)],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip

    assert json.loads(done.stdout.splitlines()[-1]) == [0] * len(ALL)
