"""No bytes make the check fail in any other way than by findings."""

from __future__ import annotations

from pathlib import Path

from depth import times
from hypothesis import example, given, settings
from hypothesis import strategies as st

from yoi_bundles.content.check import check_files
from yoi_bundles.content.parse import blob_id_of, parse_file
from yoi_bundles.content.plain import find_plain, parse_plain
from yoi_bundles.model.ids import RelativePath
from yoi_bundles.model.limits import Limits

PATHS = st.sampled_from(
    [
        "bundle.toml", "profiles/a.toml", "prompts/a.md", "tools/a.toml", "grants/a.toml",
        "models/a.toml", "plugins/a.toml", "policies/tools.toml", "policies/allow.toml",
        "workflows/a.toml", "workflows/a.md", "x", "profiles/ä.toml",
    ]
)  # fmt: skip
FRAGMENTS = st.sampled_from(
    [
        "+++\n", "[", "]", "{", "}", "=", '"', "'''", '"""', "\n", ".", "a", "kind", "steps", "#",
        "extends = 'a'\n", "description = 'x'\n", "[[rules]]\n", "[engine]\n", "kind = 'mount'\n",
        "kind = 'definition'\n", "schema = 1\n", "1", "1e999", "nan", "\x00", "\r", "{{a}}",
        "\\u0041",
        "input_schema = []\n", "[input_schema]\n", "type = 'object'\n",
        "required = [[]]\n", "é",
        "[models.x]\n", "tools = ['*']\n", "action = 'deny'\n", "secret:", "/etc",
    ]
)  # fmt: skip
CONTENTS = st.one_of(
    st.binary(max_size=60), st.lists(FRAGMENTS, max_size=12).map("".join).map(str.encode)
)


BASE = Path(__file__).parents[2] / "fixtures" / "findings" / "base"
SOUND = {
    path.relative_to(BASE).as_posix(): path.read_text(encoding="utf-8").split("\n")
    for path in sorted(BASE.rglob("*"))
    if path.is_file()
}
LINES = st.one_of(
    st.sampled_from(sorted({line for lines in SOUND.values() for line in lines})),
    st.sampled_from(
        [
            "x = 1", "x = []", "required = [[]]", "required = 1", "properties = [[]]", "type = []",
            "[input_schema]", "[engine.x]", "[[steps]]", "[[steps.after]]", "[[tools]]", "[tools]",
            "[models]", "[environment]", "extends = 'worker'", "extends = 'common'", "steps = [1]",
            "steps = {}", "rules = [[]]", "kind = []", "schema = nan", "[workspace.labels]", "+++",
            "id = 'second'", "after = ['second']", "needs = ['tool:look', 'plugin:index']",
            "a.b = 1", "abstract = true", "kind = 'workflow'",
            "variables = ['project', 'project']",
        ]
    ),
)  # fmt: skip


@st.composite
def damaged_workspaces(draw: st.DrawFn) -> dict[str, bytes]:
    """The sound workspace with a few lines replaced, added or removed."""
    files = {path: list(lines) for path, lines in SOUND.items()}
    for _ in range(draw(st.integers(1, 4))):
        lines = files[draw(st.sampled_from(sorted(files)))]
        start = draw(st.integers(0, len(lines)))
        lines[start : start + draw(st.integers(0, 2))] = draw(st.lists(LINES, max_size=2))
    return {path: "\n".join(lines).encode() for path, lines in files.items()}


@given(damaged_workspaces())
@settings(max_examples=times(150), deadline=None)
def test_damaged_workspaces_give_findings_and_never_an_exception(files: dict[str, bytes]) -> None:
    verify_shape_of_findings(files)


@given(st.dictionaries(PATHS, CONTENTS, max_size=6))
@settings(max_examples=times(150), deadline=None)
def test_any_files_give_findings_and_never_an_exception(files: dict[str, bytes]) -> None:
    verify_shape_of_findings(files)


def verify_shape_of_findings(files: dict[str, bytes]) -> None:
    result = check_files({RelativePath(path): data for path, data in files.items()})
    assert (result.bundle is None) == any(f.severity == "error" for f in result.findings)
    keys = [(finding.file, finding.line or 0) for finding in result.findings]
    assert keys == sorted(keys)
    for finding in result.findings:
        path = RelativePath(finding.file)
        size = files.get(str(path), b"").count(b"\n") + 1
        assert finding.line is None or finding.line <= size


@given(PATHS | st.sampled_from(["prompts/con.md", "prompts/A.md", "prompts/a/b/c.md"]), CONTENTS)
@example("prompts/a.md", b"Write `{` as it is, and {{ never.\n")
@example("prompts/a.md", "Zoë schreibt.\n".encode())
@example("prompts/a.md", b"+++ is no fence\n")
@example("prompts/a.md", b"token: ghp_" + b"A1b2" * 9)
@example("prompts/a.md", b"x" * 2001)
def test_of_plain_bytes_a_prompt_says_what_it_says_when_it_is_read(name, data):
    path, blob, limits = RelativePath(name), blob_id_of(data), Limits(file_bytes=2000)
    made = parse_plain(path, blob, len(data), limits) if find_plain([data])[0] else None
    assert made in (None, parse_file(path, blob, data, limits))


FRAGMENTS = st.sampled_from(
    [
        *"\n\t x:=>\"'`/{+",
        "\x07\r\x85\u202eéİ－",
        *("{{", "+++\n", "Say what you expect. ", "password: ", "https://", "0a" * 8, "a" * 15),
    ]
)


TEXTS = st.lists(FRAGMENTS, max_size=8).map(lambda parts: "".join(parts).encode())


@given(st.lists(TEXTS | CONTENTS, max_size=9))
@example([b"token:", b'"a"'])
@example([b"a" * 9, b"a" * 9])
@example([b"a" * 16, b"", b"a" * 15])
@example(["é".encode()[:1], "é".encode()[1:]])
@example([b"one {", b"{two}}", b"three\x07", b"four"])
def test_what_is_said_of_a_file_does_not_depend_on_those_beside_it(files):
    assert find_plain(files) == [find_plain([data])[0] for data in files]


def test_ordinary_prompts_are_plain_and_others_are_not():
    plain = b'Read the ledger first; say what you expect: "42". It\'s {fine}.\n'
    assert parse_plain(RelativePath("prompts/a.md"), blob_id_of(plain), len(plain)) is not None
    assert find_plain([plain]) == [True]
    assert parse_plain(RelativePath("profiles/a.toml"), blob_id_of(plain), len(plain)) is None
    others = (b"\r\n", b"\xff", b"{{name}}", b"+++\n+++\n", b"k: ghp_" + b"A1b2" * 9, b"\x07")
    assert find_plain([*others, plain]) == [False] * 6 + [True]
    assert find_plain([]) == []
