"""A plugin that watches the whole run: what is secret shows up nowhere, nothing steers a reader.

Every log record, every response of a server, every line of the command line and all output of its
processes are looked at, in every test. A test in which a token, a secret value, the content of a
file or a raw control character got where it does not belong fails, and says where it was seen.
"""

from __future__ import annotations

import functools
import json
import logging
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import click
import pytest

from yoi_bundles.ledger.credentials import TOKEN_PREFIX, Credentials
from yoi_bundles.model.texts import UNSEEN
from yoi_bundles.wire.client.http import Answer, HttpClient

SECRET_VALUE = "canary-model-key-value"
"""What the House and the processes have as the value of a secret."""
CONTENT = "canary-file-content-5d1e8b07"
"""Stands in a file of every workspace that the House publishes."""

_TOKEN = re.compile(re.escape(TOKEN_PREFIX) + r"(?!bundles)[A-Za-z0-9_-]{16,}")
_SHORTEST_TOKEN = 16
_FEWEST_CHARACTERS = 5
"""Different ones in a token; ``xxxx…`` stands in other texts too."""
_OF_TESTS = "tests."
"""Loggers that tests use to see what a formatter makes of odd text."""
_OUR_STYLES = re.compile("\x1b\\[(?:0|1|2|31|32|33)m")
_TOKEN_COMMANDS = re.compile(r"\b(token (create|rotate)|runtime (register|token)|push-token)\b")
_TOKEN_ROUTES = re.compile(r"(POST|PUT) /v1/runtimes(/[^/]+/(push-token|token))?")
_CONTENT_COMMANDS = re.compile(r"\bdiff\b")
_CONTENT_ROUTES = re.compile(r"GET /v1/workspaces/[^/]+/diff|(GET|POST) /git/.*")
_BODY_BYTES = 1024 * 1024
_FORMATTER = logging.Formatter()


@dataclass
class Watch:
    """What was looked at since the last test, and what was seen that should not be."""

    counts: dict[str, int] = field(default_factory=dict)
    leaks: list[str] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    """Tokens that do not look like those a server makes."""

    def know(self, token: str | None) -> None:
        """Look out for a token from now on."""
        if token is None or _TOKEN.fullmatch(token):
            return
        if len(token) >= _SHORTEST_TOKEN and len(set(token)) >= _FEWEST_CHARACTERS:
            self.tokens.add(token)

    def look(
        self, kind: str, where: str, text: str, *, tokens: bool = True, content: bool = True
    ) -> None:
        """Look at text for people or machines.

        Args:
            kind: What is counted.
            where: Where it was seen, for the failure.
            text: All of it.
            tokens: False where a token is what was asked for.
            content: False where the content of files is.
        """
        self.counts[kind] = self.counts.get(kind, 0) + 1
        if SECRET_VALUE in text:
            self._leak(where, "a secret value", text, SECRET_VALUE)
        if content and CONTENT in text:
            self._leak(where, "the content of a file", text, CONTENT)
        if tokens:
            made = _TOKEN.search(text)
            known = made.group() if made else next((t for t in self.tokens if t in text), None)
            if known is not None:
                self._leak(where, "a token", text, known)

    def look_for_steering(self, where: str, text: str) -> None:
        """Look for what a terminal would act on, or a reader would not see."""
        unseen = UNSEEN.search(text)
        if unseen is not None:
            self._leak(where, f"the raw character U+{ord(unseen.group()):04X}", text, "")

    def _leak(self, where: str, what: str, text: str, canary: str) -> None:
        at = max(0, text.find(canary) - 60) if canary else 0
        self.leaks.append(f"{where} shows {what}: {text[at : at + 200]!a}")

    def take(self) -> tuple[dict[str, int], list[str]]:
        """What there is since the last time."""
        counts, leaks = self.counts, self.leaks
        self.counts, self.leaks = {}, []
        return counts, leaks


WATCH = Watch()


# --- log records -------------------------------------------------------------------------------


def watch_records(watch: Watch) -> Callable[[], None]:
    """Look at every record of every logger as it is made; returns what ends it."""
    before = logging.getLogRecordFactory()

    def make(*arguments: Any, **more: Any) -> logging.LogRecord:
        record = before(*arguments, **more)
        if record.name is not None:  # formatters make nameless ones, to copy a record into
            look_at_record(watch, record)
        return record

    logging.setLogRecordFactory(make)
    return lambda: logging.setLogRecordFactory(before)


def look_at_record(watch: Watch, record: logging.LogRecord) -> None:
    where = f"a log line of {record.name}"
    text = record.getMessage()
    if not record.name.startswith(_OF_TESTS):
        watch.look_for_steering(where, text)
    if record.exc_info and record.exc_info[0] is not None:
        text += "\n" + _FORMATTER.formatException(record.exc_info)
    watch.look("log lines", where, text)


# --- responses ---------------------------------------------------------------------------------


def watched(app: Any, watch: Watch = WATCH) -> Any:
    """An ASGI app whose every response is looked at once it is complete."""

    async def watching(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        head: list[str] = []
        body = bytearray()

        async def seen(message: Any) -> None:
            if message["type"] == "http.response.start":
                head.extend(f"{k.decode('latin-1')}: {v.decode('latin-1')}"
                            for k, v in message.get("headers", ()))  # fmt: skip
            elif len(body) < _BODY_BYTES:
                body.extend(message.get("body", b""))
            await send(message)

        try:
            await app(scope, receive, seen)
        finally:
            request = f"{scope['method']} {scope['path']}"
            look_at_response(watch, request, "\n".join(head), bytes(body))

    return watching


def watched_at_once(at_once: Any, watch: Watch = WATCH) -> Any:
    """What gives a server its answers of one turn, each of which is looked at."""

    def watching(scope: Any) -> Any:
        answer = at_once(scope)
        if answer is not None:
            head = "\n".join(f"{k.decode()}: {v.decode()}" for k, v in answer.raw_headers)
            body = answer.body[:_BODY_BYTES]
            look_at_response(watch, f"{scope['method']} {scope['path']}", head, body)
        return answer

    return watching


def look_at_response(watch: Watch, request: str, head: str, body: bytes) -> None:
    where = f"the answer to {request}"
    watch.look(
        "responses",
        where,
        head + "\n" + body.decode("utf-8", "replace"),
        tokens=not _TOKEN_ROUTES.fullmatch(request),
        content=not _CONTENT_ROUTES.fullmatch(request),
    )
    watch.look_for_steering(where, head)
    if "application/problem+json" in head:
        for text in _texts_in(json.loads(body)):
            watch.look_for_steering(where, text)


def _texts_in(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from _texts_in([*value.keys(), *value.values()])
    elif isinstance(value, list):
        for inner in value:
            yield from _texts_in(inner)


# --- the command line --------------------------------------------------------------------------


def look_at_output(watch: Watch, command: str, text: str) -> None:
    where = f"the output of `{command}`"
    watch.look(
        "outputs",
        where,
        text,
        tokens=not _TOKEN_COMMANDS.search(command),
        content=not _CONTENT_COMMANDS.search(command),
    )
    watch.look_for_steering(where, _OUR_STYLES.sub("", text))


def _is_ours(arguments: object) -> bool:
    parts = arguments if isinstance(arguments, (list, tuple)) else [arguments]
    return any(str(part) == "yoi_bundles" or str(part).endswith("yoi-bundles") for part in parts)


def command_of(arguments: object) -> str:
    """A command as a person would write it."""
    return " ".join(map(str, arguments)) if isinstance(arguments, (list, tuple)) else str(arguments)


# --- pytest ------------------------------------------------------------------------------------


def pytest_configure(config: pytest.Config) -> None:
    patch = pytest.MonkeyPatch()
    config.add_cleanup(patch.undo)
    config.add_cleanup(watch_records(WATCH))
    logger = logging.getLogger("yoi_bundles")
    before = logger.level
    logger.setLevel(logging.DEBUG)
    config.add_cleanup(lambda: logger.setLevel(before))
    _watch_tokens(patch)
    _watch_answers(patch)
    _watch_printing(patch)
    _watch_processes(patch)


def _watch_tokens(patch: pytest.MonkeyPatch) -> None:
    create, connect = Credentials.create, HttpClient.__init__

    @functools.wraps(create)
    def creating(self: Any, *arguments: Any, token: str | None = None, **more: Any) -> Any:
        WATCH.know(token)
        return create(self, *arguments, token=token, **more)

    @functools.wraps(connect)
    def connecting(self: Any, base_url: str, token: Any, **more: Any) -> None:
        WATCH.know(token if isinstance(token, str) else None)
        connect(self, base_url, token, **more)

    patch.setattr(Credentials, "create", creating)
    patch.setattr(HttpClient, "__init__", connecting)


def _watch_answers(patch: pytest.MonkeyPatch) -> None:
    """What servers in processes of their own answer, as their clients see it."""
    request, refuse = HttpClient.request, HttpClient._error

    @functools.wraps(request)
    def requesting(self: Any, method: str, path: str, **more: Any) -> Answer:
        answer = request(self, method, path, **more)
        look_at_response(WATCH, f"{method} {path}", "", answer.body)
        return answer

    @functools.wraps(refuse)
    def refusing(self: Any, response: Any) -> Any:
        error = refuse(self, response)
        text = json.dumps([error.message, error.hint, error.facts], ensure_ascii=False)
        WATCH.look("responses", f"the error {error.code}", text)
        return error

    patch.setattr(HttpClient, "request", requesting)
    patch.setattr(HttpClient, "_error", refusing)


def _watch_printing(patch: pytest.MonkeyPatch) -> None:
    echo = click.echo

    @functools.wraps(echo)
    def echoing(message: Any = None, *arguments: Any, **more: Any) -> None:
        context = click.get_current_context(silent=True)
        command = "yoi-bundles" if context is None else context.command_path
        if isinstance(message, str):
            look_at_output(WATCH, command, message)
        echo(message, *arguments, **more)

    for module in ("click", "click.core", "click.exceptions", "click.utils"):
        patch.setattr(f"{module}.echo", echoing)


def _watch_processes(patch: pytest.MonkeyPatch) -> None:
    communicate = subprocess.Popen.communicate

    @functools.wraps(communicate)
    def communicating(self: Any, *arguments: Any, **more: Any) -> Any:
        said = communicate(self, *arguments, **more)
        if _is_ours(self.args):
            for part in filter(None, said):
                text = part if isinstance(part, str) else part.decode("utf-8", "replace")
                look_at_output(WATCH, command_of(self.args), text)
        return said

    patch.setattr(subprocess.Popen, "communicate", communicating)


@pytest.fixture(autouse=True)
def _nothing_leaks(request: pytest.FixtureRequest) -> Iterator[None]:
    """Set up before and torn down after everything else that a test asks for."""
    yield
    counts, leaks = WATCH.take()
    request.node.user_properties.append(("canaries", counts))
    if leaks:
        pytest.fail(f"{len(leaks)} leaks:\n" + "\n".join(leaks[:10]), pytrace=False)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What was looked at; it travels with the reports, as tests may run in other processes."""
    total: dict[str, int] = {}
    reports = [one for rows in terminalreporter.stats.values() for one in rows]
    for report in reports:
        if getattr(report, "when", None) == "teardown":
            for name, counts in report.user_properties:
                for kind, count in counts.items() if name == "canaries" else ():
                    total[kind] = total.get(kind, 0) + count
    shown = ", ".join(f"{total[kind]:,} {kind}" for kind in sorted(total)) or "nothing"
    terminalreporter.write_line(f"canaries: looked at {shown}")
