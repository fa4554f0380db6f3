"""A tree made to be slow or large costs little: every growth that an author controls has a cap."""

from __future__ import annotations

import hashlib
import time
import tracemalloc
from pathlib import Path

import pytest

from yoi_bundles.content.check import check_files
from yoi_bundles.content.inheritance import MAX_DEPTH, find_chain
from yoi_bundles.content.material import MAX_MATCHES
from yoi_bundles.content.parse import ParsedFile, blob_id_of, parse_file
from yoi_bundles.content.toml_files import MAX_NESTING, MAX_VALUES
from yoi_bundles.content.toml_lines import LineIndex, index_lines
from yoi_bundles.content.variables import MAX_FAULTS
from yoi_bundles.model.ids import RelativePath
from yoi_bundles.model.limits import MIB, Limits

BASE = Path(__file__).parents[3] / "fixtures" / "findings" / "base"


def parse(path: str, text: str) -> ParsedFile:
    return parse_file(RelativePath(path), blob_id_of(text.encode()), text.encode())


def make_files(**extra: bytes) -> dict[RelativePath, bytes]:
    files = {
        RelativePath(path.relative_to(BASE).as_posix()): path.read_bytes()
        for path in BASE.rglob("*")
        if path.is_file()
    }
    return files | {RelativePath(path): data for path, data in extra.items()}


def make_tokens(count: int) -> str:
    """Made-up tokens, put together at run time."""
    tokens = (hashlib.sha256(b"%d" % number).hexdigest()[:36] for number in range(count))
    return "".join(f"{'gh'}p_{token}\n" for token in tokens)


TOOL = 'kind = "builtin"\ndescription = "x"\n[input_schema]\ntype = "object"\n'


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a." * 300_000 + "a = 1\n", 1),
        ("[" + "a." * 300_000 + "a]\n", 1),
        ("[[" + '"a" . ' * 150_000 + "a]]\n", 1),
        ("x = " + "[" * 300_000 + "]" * 300_000, None),
        ("x = " + "{a=" * 200_000 + "1" + "}" * 200_000, None),
        ("x = [" + "1," * 400_000 + "]", None),
        ("".join(f"k{number} = 1\n" for number in range(80_000)), None),
        ("x = 1" + "0" * 10_000, 1),
        ("x = " + "[\n" * 50 + "]" * 50, None),
        ("x" * 900_000, 1),
        ('x = "' + "\\u0041" * 150_000, 1),
    ],
    ids=[
        "dotted-key", "header", "quoted-header", "arrays", "inline-tables", "long-array",
        "many-keys", "long-number", "nested-lines", "one-word", "open-string",
    ],
)  # fmt: skip
def test_toml_made_to_be_slow_is_refused_quickly(text: str, line: int | None) -> None:
    started = time.perf_counter()
    parsed = parse("tools/a.toml", text)
    elapsed = time.perf_counter() - started
    assert [finding.code for finding in parsed.findings] == ["invalid_manifest"]
    assert parsed.findings[0].line == line
    assert elapsed < 10


def test_the_longest_array_that_is_looked_at_stays_small_in_memory() -> None:
    text = f"{TOOL}enum = [{'1,' * (MAX_VALUES - 100)}]\n"
    tracemalloc.start()
    parsed = parse("tools/a.toml", text)
    assert parsed.source.line_of(("input_schema", "enum", 5)) == 5
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 20 * MIB


def test_nesting_at_the_bound_passes_and_one_more_does_not() -> None:
    inside = MAX_NESTING - 2
    assert parse("tools/a.toml", TOOL + f"x = {'[' * inside}{']' * inside}\n").findings == ()
    deeper = inside + 1
    [finding] = parse("tools/a.toml", TOOL + f"x = {'[' * deeper}{']' * deeper}\n").findings
    assert "nests too deeply" in finding.message


def test_values_at_the_bound_pass_and_one_more_does_not() -> None:
    room = MAX_VALUES - len(["kind", "description", "input_schema", "type", "enum"])
    entries = ",".join("1" for _ in range(room))
    assert parse("tools/a.toml", f"{TOOL}enum = [{entries}]\n").findings == ()
    [finding] = parse("tools/a.toml", f"{TOOL}enum = [{entries},1]\n").findings
    assert f"more than {MAX_VALUES} values" in finding.message


def test_a_file_full_of_secrets_cannot_be_excused() -> None:
    few = parse("prompts/a.md", make_tokens(MAX_MATCHES))
    assert len(few.matches) == MAX_MATCHES
    assert few.findings == ()
    many = parse("prompts/a.md", make_tokens(20_000))
    assert len(many.matches) == MAX_MATCHES + 1
    [finding] = many.findings
    assert (finding.code, finding.fingerprint) == ("forbidden_material", None)


def test_complaints_about_variables_are_capped() -> None:
    text = "".join(f"{{{{v{number}}}}}\n" for number in range(50_000))
    assert len(parse("prompts/a.md", text).findings) == MAX_FAULTS


def test_a_long_chain_of_parents_is_not_followed_to_its_end() -> None:
    count = 3_000
    chain = {
        f"profiles/p{number}.toml": f'description = "x"\nextends = "p{number + 1}"\n'.encode()
        for number in range(count)
    }
    last = {f"profiles/p{count}.toml": b'description = "x"\nabstract = true\n'}
    files = make_files(**chain, **last)
    result = check_files(files, limits=Limits(findings=10))
    assert result.bundle is None
    parsed = {
        each.place.name: each.declared
        for path, data in files.items()
        if (each := parse_file(path, blob_id_of(data), data)).place and each.declared
        and each.place.kind == "profile"
    }  # fmt: skip
    assert len(find_chain("p0", parsed)) == MAX_DEPTH + 2


def test_a_check_gives_up_on_a_tree_past_mending() -> None:
    broken = {f"profiles/b{number:04}.toml": b"x = 1\n" for number in range(1_000)}
    result = check_files(make_files(**broken), limits=Limits(findings=10))
    assert result.bundle is None
    assert len(result.findings) == 12
    assert result.findings[-1].message == "too many findings: later files were not looked at"
    assert result.findings[-1].code == "too_large"
    # The closing pass is skipped: it would complain about files that were not parsed.
    assert {finding.file for finding in result.findings} <= set(broken)


def test_findings_between_files_are_capped_as_well() -> None:
    uses = ", ".join(f'"t{number}"' for number in range(5_000))
    text = f'description = "x"\nextends = "common"\n[tools]\noptional = [{uses}]\n'
    extra = {f"profiles/u{number}.toml": text.encode() for number in range(20)}
    started = time.perf_counter()
    result = check_files(make_files(**extra), limits=Limits(findings=100))
    assert len(result.findings) == 101
    assert time.perf_counter() - started < 20


def test_names_are_not_compared_with_thousands_of_others() -> None:
    prompts = {f"prompts/p{number}.md": b"x\n" for number in range(400)}
    profile = b'description = "x"\nextends = "common"\nengine.system_prompt = "q"\n'
    result = check_files(make_files(**prompts, **{"profiles/q.toml": profile}))
    [finding] = [finding for finding in result.findings if finding.severity == "error"]
    assert finding.hint == "prompts: 402"


# --- the line index -------------------------------------------------------------------


@pytest.mark.parametrize("text", ["= 1", "[a", "x = ", "x = [", "x", "x = {a = 1"])
def test_the_line_index_refuses_what_is_not_toml(text: str) -> None:
    with pytest.raises(ValueError, match=r"not TOML|substring not found"):
        index_lines(text)


def test_the_line_index_knows_escapes_of_newer_toml() -> None:
    assert index_lines('"\\e\\x41" = 1') == {(): 1, ("\x1bA",): 1}


def test_a_lazy_index_is_the_index() -> None:
    text = "a = 1\n[[b]]\nc = [\n  1,\n]\n[b.d]\n"
    lazy = LineIndex(text)
    assert dict(lazy) == index_lines(text)
    assert lazy == LineIndex(text)
    assert len(lazy) == 7
    assert lazy["b", 0, "c", 0] == 4
    assert lazy.get(("z",)) is None


def test_a_small_file_is_parsed_once_and_judged_under_every_limit():
    path, data = RelativePath("profiles/a.toml"), b'description = "Reads."\n'
    blob = blob_id_of(data)
    first, again = (parse_file(path, blob, data) for _ in range(2))
    assert first.declared is not None
    assert again.declared is first.declared

    elsewhere = parse_file(RelativePath("profiles/b.toml"), blob, data)
    assert (str(elsewhere.source.file), elsewhere.place) == ("profiles/b.toml", ("profile", "b"))
    small = parse_file(path, blob, data, Limits(file_bytes=len(data) - 1))
    assert [finding.code for finding in small.findings] == ["too_large"]
    other = parse_file(path, blob, b"schema = 1\n" + data)
    assert [finding.code for finding in other.findings] == ["unsupported_declaration"]
