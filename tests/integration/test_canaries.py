"""The watch over the whole run sees what it is for: each kind of leak, wherever it is."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from canaries import (
    CONTENT,
    SECRET_VALUE,
    WATCH,
    Watch,
    look_at_output,
    look_at_response,
    watch_records,
    watched,
)
from house import serving
from starlette.responses import PlainTextResponse

from yoi_bundles.wire.client.http import HttpClient

TESTS = Path(__file__).parents[1]
TOKEN = "yoi_" + "aB3-_" * 8
ALONE = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""}
"""A run as its test asks for it: other plugins take longer to load than it has to do."""
STEERING = ["\x1b[2J", "\x9b2J", "\u202egnihton", "\U000e0041"]


@pytest.fixture
def watch():
    """A watch of its own; what the run's saw of the same is forgotten, as it was on purpose."""
    yield Watch()
    WATCH.leaks.clear()


def seen(watch: Watch) -> list[str]:
    return watch.take()[1]


@pytest.mark.parametrize("canary", [TOKEN, SECRET_VALUE, CONTENT])
def test_a_log_line_that_leaks_is_seen_at_any_level_and_in_a_traceback(watch, canary):
    log = logging.getLogger("yoi_bundles.x")
    stop = watch_records(watch)
    try:
        log.debug("it is %s", canary)
        try:
            raise ValueError(canary)
        except ValueError:
            log.exception("it failed")
        log.error("nothing to see")
    finally:
        stop()
    log.error("not watched any more: %s", canary)

    counts, leaks = watch.take()
    assert counts == {"log lines": 3}
    assert len(leaks) == 2
    assert all(leak.startswith("a log line of yoi_bundles.x shows ") for leak in leaks)


@pytest.mark.parametrize("steering", STEERING, ids=ascii)
def test_raw_characters_are_seen_in_logs_output_and_problems(watch, steering):
    stop = watch_records(watch)
    logging.getLogRecordFactory()("yoi_bundles.x", 40, "f", 1, steering, (), None)
    stop()
    look_at_output(watch, "yoi-bundles show", steering)
    document = b'{"detail": {"a": ["' + steering.encode("unicode-escape") + b'"]}}'
    document = document.replace(b"\\x", b"\\u00").replace(b"\\U000e0041", b"\\udb40\\udc41")
    head = "content-type: application/problem+json"
    look_at_response(watch, "GET /v1/x", head, document)

    assert [leak.partition(" shows ")[0] for leak in seen(watch)] == [
        "a log line of yoi_bundles.x",
        "the output of `yoi-bundles show`",
        "the answer to GET /v1/x",
    ]


@pytest.mark.parametrize("canary", [TOKEN, SECRET_VALUE, CONTENT])
@pytest.mark.parametrize("is_header", [True, False])
def test_an_app_that_leaks_is_seen_over_a_socket(watch, canary, is_header):
    leaking = PlainTextResponse("" if is_header else canary, headers={"x-a": canary * is_header})

    with serving(watched(leaking, watch)) as url:
        client = HttpClient(url, None)
        client.request("GET", "/v1/runtimes")
        client.close()

    assert [leak.partition(" shows ")[0] for leak in seen(watch)] == [
        "the answer to GET /v1/runtimes"
    ]


def test_where_a_token_or_content_is_asked_for_it_may_be(watch):
    look_at_response(watch, "POST /v1/runtimes", "", TOKEN.encode())
    look_at_response(watch, "GET /v1/workspaces/team/diff", "", CONTENT.encode())
    look_at_output(watch, "yoi-bundles backend token create", TOKEN)
    look_at_output(watch, "yoi-bundles diff", CONTENT)
    assert seen(watch) == []

    look_at_response(watch, "POST /v1/runtimes", "", SECRET_VALUE.encode())
    look_at_output(watch, "yoi-bundles diff", TOKEN)
    assert len(seen(watch)) == 2


def test_a_token_that_a_test_made_up_is_looked_out_for(watch):
    made_up = "push-token-of-somebody-else-01234"
    look_at_output(watch, "yoi-bundles log", made_up)
    assert seen(watch) == []

    watch.know(made_up)
    watch.know("x" * 64)
    look_at_output(watch, "yoi-bundles log", made_up + "x" * 64)

    assert len(seen(watch)) == 1
    assert watch.tokens == {made_up}


def test_our_own_colours_are_no_leak_and_others_are(watch):
    look_at_output(watch, "yoi-bundles log", "\x1b[31m\x1b[1mred\x1b[0m\tand\n")
    assert seen(watch) == []

    look_at_output(watch, "yoi-bundles log", "\x1b[5mblinking")
    assert len(seen(watch)) == 1


LEAKING = f"""
import logging, subprocess, sys
import click
from house import serving
from starlette.responses import PlainTextResponse
from yoi_bundles.wire.client.http import HttpClient

def test_good():
    logging.getLogger("yoi_bundles.x").debug("nothing")

def test_log():
    logging.getLogger("yoi_bundles.x").debug("%s", {TOKEN!r})

def test_echo():
    click.echo({SECRET_VALUE!r})

def test_process():
    program = [sys.executable, "-c", "print({TOKEN!r})", "yoi_bundles"]
    subprocess.run(program, capture_output=True, check=True)

def test_response():
    with serving(PlainTextResponse({SECRET_VALUE!r})) as url:
        HttpClient(url, None).request("GET", "/v1/x")
"""


def test_a_test_that_leaks_fails_and_is_told_where(tmp_path):
    """A run of its own: the plugin as every run has it, over tests that leak."""
    (tmp_path / "test_leaking.py").write_text(LEAKING)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "canaries", "-q", "-p", "no:cacheprovider",
         "--rootdir", str(tmp_path), str(tmp_path)],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(TESTS), **ALONE},
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    failed = {line.split("::")[1].split(" ")[0] for line in done.stdout.splitlines()
              if line.startswith("ERROR ")}  # fmt: skip
    assert failed == {"test_log", "test_echo", "test_process", "test_response"}
    assert "a log line of yoi_bundles.x shows a token" in done.stdout
    assert "the answer to GET /v1/x shows a secret value" in done.stdout
    assert "canaries: looked at " in done.stdout
