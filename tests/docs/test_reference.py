"""Tables and names in the documents are those of the code; links lead somewhere."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import tomllib
from pathlib import Path
from urllib.parse import unquote

import pytest
from markdown import DOCS, ROOT, anchors, code_spans, documents, headings, read, rows, section

from yoi_bundles.backend.git_http import REQUEST_BYTES
from yoi_bundles.cli import exit_codes
from yoi_bundles.cli.exit_codes import EXIT_CODE
from yoi_bundles.cli.main import COMMANDS
from yoi_bundles.model.limits import DEFAULT_LIMITS
from yoi_bundles.model.request_limits import DEFAULT_REQUEST_LIMITS
from yoi_bundles.wire.at_once.connections import DEFAULT_CONNECTION_LIMITS
from yoi_bundles.wire.messages.problems import STATUS
from yoi_bundles.wire.server.guard import DEFAULT_PACE

SOURCES = sorted((ROOT / "yoi_bundles").rglob("*.py"))
RECORDS = sorted((DOCS / "adr").glob("[0-9]*.md"))
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
TEST_ID = re.compile(r"[\w/]+\.py::\w+")


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


# --- links ---


def is_found(document: Path, target: str) -> bool:
    name, _, anchor = target.partition("#")
    file = (document.parent / name).resolve() if name else document
    if not file.exists() or not file.is_relative_to(ROOT):
        return False
    return not anchor or anchor in anchors(file.read_text("utf-8"))


@pytest.mark.parametrize("path", documents(), ids=relative)
def test_every_link_leads_somewhere(path):
    lost = [
        target
        for target in LINK.findall(path.read_text("utf-8"))
        if "://" not in target and not is_found(path, unquote(target))
    ]

    assert lost == []


@pytest.mark.parametrize("path", documents(), ids=relative)
def test_headings_of_a_document_differ(path):
    found = headings(path.read_text("utf-8"))
    # Sections of the two servers may have subsections of the same name.
    repeated = {
        one for one in found if found.count(one) > 1 and path.name not in {"CHANGELOG.md"}
    } - endpoints_of_both()

    assert repeated == set()


def endpoints_of_both() -> set[str]:
    return {f"`{one}`" for one in openapi("backend") & openapi("runtime")}


UNWRITTEN: set[tuple[str, str]] = set()
"""Sections that code cites and nobody has written; this list may only shrink."""


def test_headings_that_the_code_cites_exist():
    cited = {
        (found[1], " ".join(found[2].split()))
        for path in SOURCES
        for found in re.finditer(r"docs/([a-z-]+\.md),\s+\"([^\"]+)\"", path.read_text("utf-8"))
    }
    known = {
        (path.name, heading.replace("`", ""))
        for path in DOCS.glob("*.md")
        for heading in headings(path.read_text("utf-8"))
    }

    assert cited - known - UNWRITTEN == set()
    assert len(cited & known) > 10


# --- codes, limits, exit codes ---


def codes_of(document: str, heading: str) -> list[list[str]]:
    return [
        [cell.strip("`") for cell in row]
        for row in rows(section(read(document), heading))
        if row[0].startswith("`")
    ]


def test_the_table_of_codes_is_that_of_the_code():
    table = {
        code: (int(status), int(exit_code))
        for code, status, exit_code, _ in codes_of("http-api.md", "Error codes")
    }

    assert table == {code: (STATUS[code], EXIT_CODE[code]) for code in STATUS}


def test_every_code_has_advice_for_operators():
    advised = {
        code
        for row in rows(section(read("operations.md"), "Troubleshooting"))
        for code in re.findall(r"`([a-z_]+)`", row[0])
    }

    assert advised == set(STATUS)


def test_the_table_of_exit_codes_is_that_of_the_code():
    documented = {int(row[0]) for row in rows(section(read("operations.md"), "Exit codes"))}
    defined = {
        value
        for name, value in vars(exit_codes).items()
        if name.isupper() and isinstance(value, int)
    }

    assert documented == defined | {130}
    assert set(EXIT_CODE.values()) <= documented


def test_the_limits_shown_are_those_of_the_code():
    shown = [row[1] for row in rows(section(read("http-api.md"), "Limits"))]
    numbers = [int(re.sub(r"\D", "", text)) for text in shown]

    assert numbers == [
        DEFAULT_LIMITS.request_bytes,
        DEFAULT_LIMITS.publish_bytes,
        DEFAULT_LIMITS.bundle_bytes,
        REQUEST_BYTES,
        64,
    ]


def test_the_bounds_of_callers_shown_are_those_of_the_code():
    """Numbers in the order in which the sections name them."""

    def numbers(heading: str) -> list[int]:
        found = re.findall(r"(?<![\w.-])\d[\d,]*(?= )", section(read("http-api.md"), heading))
        return [int(number.replace(",", "")) for number in found]

    of_requests, of_connections = DEFAULT_REQUEST_LIMITS, DEFAULT_CONNECTION_LIMITS
    assert numbers("How much is answered")[:5] == [
        of_requests.requests_per_second, of_requests.burst_requests,
        of_requests.concurrent_requests, 429, of_requests.failures_per_minute,
    ]  # fmt: skip
    shown = set(numbers("What is not read"))
    assert shown >= {
        of_connections.connections, of_connections.head_seconds, of_connections.idle_seconds,
        of_connections.unread_seconds, of_connections.head_bytes, DEFAULT_PACE.idle_seconds,
        DEFAULT_PACE.grace_seconds, DEFAULT_PACE.bytes_per_second,
    }  # fmt: skip


# --- endpoints ---


def openapi(server: str) -> set[str]:
    document = json.loads((DOCS / "openapi" / f"{server}.json").read_text("utf-8"))
    return {f"{method.upper()} {path}" for path, way in document["paths"].items() for method in way}


@pytest.mark.parametrize("server", ["backend", "runtime"])
def test_the_http_document_has_every_endpoint_and_no_other(server):
    text = section(read("http-api.md"), server.capitalize())
    shown = re.findall(r"^### `([A-Z]+ /\S+)`$", text, re.MULTILINE)

    assert len(shown) == len(set(shown))
    assert set(shown) == openapi(server)


@pytest.mark.parametrize("server", ["backend", "runtime"])
def test_every_endpoint_has_an_example(server):
    text = section(read("http-api.md"), server.capitalize())
    without = [one for one in openapi(server) if "```console" not in section(text, f"`{one}`")]

    assert without == []


# --- tests, modules, commands, variables ---


def defined_tests(file: Path) -> set[str]:
    return {
        node.name
        for node in ast.parse(file.read_text("utf-8")).body
        if isinstance(node, ast.FunctionDef)
    }


@pytest.mark.parametrize("name", ["acceptance.md", "threat-model.md"])
def test_every_test_that_is_named_exists(name):
    named = [one for one in code_spans(read(name)) if TEST_ID.fullmatch(one)]
    gone = []
    for one in named:
        file, _, function = one.partition("::")
        path = ROOT / "tests" / file
        if not path.is_file() or function not in defined_tests(path):
            gone.append(one)

    assert gone == []
    assert len(named) > 30


def test_every_promise_names_a_test():
    unproved = [row[0] for row in rows(read("acceptance.md")) if not TEST_ID.search(row[1])]

    assert unproved == []


def test_every_defence_names_a_test():
    actors = section(read("threat-model.md"), "Actors")
    unproved = [row[0] for row in rows(actors) if not TEST_ID.search(row[2])]

    assert unproved == []
    assert len(rows(actors)) > 30


def test_every_attack_on_updates_names_a_test():
    attacks = rows(section(read("threat-model.md"), "Attacks on updates"))

    assert [row[0] for row in attacks if not TEST_ID.search(row[2])] == []
    assert len(attacks) >= 12


def test_every_module_that_is_named_exists():
    named = {
        one
        for one in code_spans(read("architecture.md"))
        if re.fullmatch(r"yoi_bundles(\.\w+)+", one)
    }

    assert [one for one in sorted(named) if importlib.util.find_spec(one) is None] == []


def test_each_concept_has_at_most_two_places():
    table = rows(section(read("architecture.md"), "Where does X happen"))

    assert len(table) >= 25
    assert [row[0] for row in table if not 1 <= len(code_spans(row[1])) <= 2] == []


def test_the_picture_shows_every_package():
    picture = section(read("architecture.md"), "The house")
    packages = {path.parent.name for path in SOURCES if path.name == "__init__.py"}

    assert [name for name in packages - {"yoi_bundles"} if name not in picture] == []


def test_every_variable_is_documented_and_every_documented_one_exists():
    pattern = r"\bYOI_BUNDLES_[A-Z_]+\b"
    used = {
        found
        for path in SOURCES
        for found in re.findall(rf"[\"`]({pattern})[\"`]", path.read_text())
    }
    table = section(read("operations.md"), "Configuration")

    assert set(re.findall(pattern, table)) == used
    everywhere = {
        found for path in documents() for found in re.findall(pattern, path.read_text("utf-8"))
    }
    assert everywhere <= used


@pytest.mark.parametrize("path", documents(), ids=relative)
def test_commands_that_are_named_exist(path):
    named = re.findall(
        r"(?:^|[`$(] ?)yoi-bundles ([a-z]+)\b", path.read_text("utf-8"), re.MULTILINE
    )

    assert set(named) <= set(COMMANDS)


def test_directories_of_tests_that_are_named_exist():
    table = section((ROOT / "CONTRIBUTING.md").read_text("utf-8"), "Tests")
    named = [one for one in code_spans(table) if re.fullmatch(r"tests/\w+/", one)]

    assert [one for one in named if not (ROOT / one).is_dir()] == []
    assert len(named) > 7


def test_make_targets_that_are_named_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = {
        found
        for path in documents()
        for found in re.findall(r"(?:^|`)make ([a-z-]+)\b", path.read_text("utf-8"), re.MULTILINE)
    }

    assert named <= targets
    assert {"demo", "test", "check"} <= named


# --- glossary and records ---


def test_the_glossary_is_in_alphabetical_order_and_defines_nothing_twice():
    words = [row[0].casefold() for row in rows(read("glossary.md"))]

    assert words == sorted(set(words))
    assert len(words) > 50


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_a_record_is_short_complete_and_listed(path):
    text = path.read_text("utf-8")
    index = read("adr/README.md")

    assert text.count("\n") <= 60
    assert text.startswith(f"# {path.name[:4]}: ")
    assert {"Context", "Decision", "Consequences"} <= set(headings(text))
    assert "accepted" in text.lower()
    assert f"[{path.name[:4]}]({path.name})" in index


def test_records_are_numbered_without_gaps():
    assert [int(path.name[:4]) for path in RECORDS] == list(range(1, len(RECORDS) + 1))


@pytest.mark.parametrize("document", ["README.md", "docs/threat-model.md"])
def test_the_figures_shown_are_of_a_run_over_all_hostile_cases(document):
    cases = tomllib.loads((ROOT / "fixtures" / "hostile" / "cases.toml").read_text())["case"]
    _, _, block = (ROOT / document).read_text().partition("<!-- figures -->")
    block, mark, _ = block.partition("<!-- /figures -->")

    assert mark
    assert f"{len(cases)} of {len(cases)}" in block, "run tests/figures.py over a whole run's log"
