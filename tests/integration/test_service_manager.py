"""The units for systemd: what they promise is true, and the servers play their part."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import click.testing
import pytest

from yoi_bundles.cli.main import cli
from yoi_bundles.cli.options import Remote
from yoi_bundles.errors import InvalidInputError

UNITS = sorted((Path(__file__).parents[2] / "deploy" / "systemd").glob("*.service"))
SECONDS = 40
MOST_EXPOSURE = 15
"""Tenths: 1.5 on the scale of ``systemd-analyze security``, where 10 is no protection at all."""

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)


@pytest.fixture(params=UNITS, ids=lambda unit: unit.stem)
def unit(request, tmp_path):
    """A unit whose program is the one under test."""
    program = tmp_path / "yoi-bundles"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    copy = tmp_path / request.param.name
    text = request.param.read_text()
    assert "/opt/yoi-bundles/bin/yoi-bundles" in text
    copy.write_text(text.replace("/opt/yoi-bundles/bin/yoi-bundles", str(program)))
    return copy


def test_there_is_a_unit_for_each_server():
    assert [unit.stem for unit in UNITS] == ["yoi-bundles-backend", "yoi-bundles-runtime"]


@needs_systemd
def test_systemd_reads_the_unit_without_a_word(unit):
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)],
        capture_output=True, text=True, check=False, timeout=SECONDS,
    )  # fmt: skip

    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@needs_systemd
@pytest.mark.parametrize(("weakened", "is_enough"), [(False, True), (True, False)])
def test_the_sandbox_leaves_little_exposed(unit, weakened, is_enough):
    if weakened:
        text = unit.read_text()
        unit.write_text(
            re.sub(r"^(DynamicUser|User|System\w+|Capab\w+)=.*\n", "", text, flags=re.M)
        )

    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", f"--threshold={MOST_EXPOSURE}",
         "--no-pager", str(unit)],
        capture_output=True, text=True, check=False, timeout=SECONDS,
    )  # fmt: skip

    assert (done.returncode == 0) is is_enough, done.stdout + done.stderr


def test_the_commands_of_the_units_are_known_to_the_command_line(unit):
    """``--help`` at the end checks that each option before it exists."""
    text = unit.read_text().replace("\\\n", " ")
    arguments = re.search(r"^ExecStart=\S+ (.*)$", text, re.M)[1].split()
    run = click.testing.CliRunner().invoke

    assert run(cli, [*arguments, "--help"]).exit_code == 0
    assert run(cli, [*arguments, "--no-such-option", "x"]).exit_code == 2


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_a_server_says_when_it_takes_requests(tmp_path, kind):
    name = str(tmp_path / "notify") if kind == "path" else f"@yoi-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(name.replace("@", "\0", 1))
        manager.settimeout(SECONDS)
        server = subprocess.Popen(
            [sys.executable, "-m", "yoi_bundles", "backend", "serve", "--data", "d"],
            cwd=tmp_path, env=os.environ | {"NOTIFY_SOCKET": name},
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        try:
            assert manager.recv(100) == b"READY=1"
            url = server.stdout.readline().rpartition(" ")[2].strip()
            host, port = url.removeprefix("http://").split(":")
            socket.create_connection((host, int(port)), timeout=SECONDS).close()
        finally:
            server.terminate()
            server.wait(SECONDS)
            server.stdout.close()


def test_a_credential_of_the_service_may_show_a_group_bit_and_no_other_file_may(
    tmp_path, monkeypatch
):
    """systemd gives the service's user access by an access control list: the mode is then 440."""
    directory = tmp_path / "credentials"
    for place in (directory, tmp_path):
        place.mkdir(exist_ok=True)
        (place / "backend.token").write_text("yoi_0123456789")
        (place / "backend.token").chmod(0o440)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(directory))

    Remote("http://127.0.0.1:1", directory / "backend.token", None).connect().close()

    with pytest.raises(InvalidInputError, match="read by others"):
        Remote("http://127.0.0.1:1", tmp_path / "backend.token", None).connect()
    (directory / "backend.token").chmod(0o444)
    with pytest.raises(InvalidInputError, match="read by others"):
        Remote("http://127.0.0.1:1", directory / "backend.token", None).connect()
