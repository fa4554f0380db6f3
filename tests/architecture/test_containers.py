"""What deploy/ says of containers and units is what the command line and the project have."""

from __future__ import annotations

import http.server
import re
import shlex
import subprocess
import sys
import threading
from pathlib import Path

import click
import pytest
import yaml

from yoi_bundles.cli.main import cli

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
SERVICES = COMPOSE["services"]


def instructions() -> list[tuple[str, str]]:
    """Each instruction of the Containerfile with its arguments, continued lines joined."""
    text = (DEPLOY / "Containerfile").read_text("utf-8")
    text = re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip()]
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in lines]


def last_stage() -> list[tuple[str, str]]:
    all_of_them = instructions()
    starts = [index for index, (name, _) in enumerate(all_of_them) if name == "FROM"]
    return all_of_them[starts[-1] :]


def test_the_base_is_named_by_a_version_and_is_the_same_for_all_stages():
    bases = {arguments.split()[0] for name, arguments in instructions() if name == "FROM"}

    assert len(bases) == 1
    assert re.fullmatch(r"python:3\.\d+-slim-[a-z]+", bases.pop())


def test_the_image_runs_as_a_numbered_user_who_is_not_root():
    users = [arguments for name, arguments in last_stage() if name == "USER"]
    after = [name for name, _ in last_stage()][-8:]

    assert [re.fullmatch(r"[1-9]\d*:[1-9]\d*", user) is not None for user in users] == [True]
    assert "RUN" not in after[after.index("USER") :]


def test_the_image_has_a_health_check_a_volume_and_our_command():
    found = dict(last_stage())

    assert "health.py" in found["HEALTHCHECK"]
    assert found["VOLUME"] == "/var/lib/yoi-bundles"
    assert found["ENTRYPOINT"] == '["yoi-bundles"]'


def test_everything_that_is_copied_into_the_image_exists_and_is_sent_to_the_engine():
    sent = (DEPLOY / "Containerfile.dockerignore").read_text("utf-8").splitlines()
    sources = [
        source
        for name, arguments in instructions()
        if name == "COPY" and not arguments.startswith("--from")
        for source in arguments.split()[:-1]
    ]

    assert [one for one in sources if not (ROOT / one).exists()] == []
    assert [one for one in sources if f"!{one}" not in sent] == []


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_no_more_than_it_needs(name):
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service["user"].startswith(("0", "root"))
    assert "privileged" not in service
    assert service["healthcheck"]["test"][0] == "CMD"
    assert all(
        mount["read_only"] and not mount["bind"]["create_host_path"]
        for mount in service["volumes"]
        if isinstance(mount, dict)
    )


def test_there_are_a_backend_and_two_runtimes_with_data_of_their_own():
    data = [service["volumes"][0].partition(":")[0] for service in SERVICES.values()]

    assert [service["command"][0] for service in SERVICES.values()] == [
        "backend", "runtime", "runtime",
    ]  # fmt: skip
    assert sorted(COMPOSE["volumes"]) == sorted(set(data)) == sorted(data)


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_reads_is_mounted(name):
    service = SERVICES[name]
    words = " ".join(service["command"])
    secrets = set(re.findall(r"/run/secrets/([\w-]+)", words))
    files = set(re.findall(r"/etc/yoi-bundles/[\w.-]+", words))

    assert secrets <= set(service["secrets"]) <= set(COMPOSE["secrets"])
    assert files == {mount["target"] for mount in service["volumes"] if isinstance(mount, dict)}
    port = re.search(r"--port=(\d+)", words)
    assert port
    assert f":{port[1]}/" in service["environment"]["HEALTH_URL"]
    assert service["ports"][0].endswith(port[1])


def unit_commands() -> list[list[str]]:
    """Command lines of the systemd units, without the program."""
    found = []
    for unit in sorted((DEPLOY / "systemd").glob("*.service")):
        text = unit.read_text("utf-8").replace("\\\n", " ")
        found += [shlex.split(line)[1:] for line in re.findall(r"^ExecStart=(.*)", text, re.M)]
    return found


def parse(words: list[str]) -> dict[str, object]:
    """The options of a command line as click reads them; nothing is converted or run."""
    command: click.Command = cli
    # Its settings too: a command keeps the help option that it is first asked for.
    context = click.Context(cli, info_name="yoi-bundles", **cli.context_settings)
    while isinstance(command, click.Group):
        found = command.get_command(context, words[0])
        assert found is not None, words
        command, words = found, words[1:]
        context = click.Context(command, parent=context, info_name=command.name)
    options, rest, _ = command.make_parser(context).parse_args(list(words))
    assert rest == []
    return options


COMMANDS = [*(service["command"] for service in SERVICES.values()), *unit_commands()]


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words[:3]))
def test_a_command_line_is_one_of_ours(words):
    assert parse(words)["port"]


def test_a_command_line_that_is_none_of_ours_is_noticed():
    with pytest.raises(click.NoSuchOption):
        parse(["backend", "serve", "--no-such-option"])


class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/livez" else 503)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.mark.parametrize(("path", "code"), [("/livez", 0), ("/starting", 1)])
def test_the_health_check_follows_the_answer(path, code):
    with http.server.HTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        assert check(f"http://127.0.0.1:{server.server_port}{path}") == code


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/livez", "nonsense"])
def test_the_health_check_fails_where_nobody_answers(url):
    assert check(url) == 1


def check(url: str) -> int:
    done = subprocess.run(
        [sys.executable, str(DEPLOY / "health.py")], env={"HEALTH_URL": url}, capture_output=True,
        text=True, check=False, timeout=30,
    )  # fmt: skip
    assert done.stderr == ""
    return done.returncode
