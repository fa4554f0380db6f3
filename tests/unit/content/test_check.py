"""The check as a whole: bundles, caps, the allow list, step 9, and the errors that are raised."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import pytest

from yoi_bundles import errors
from yoi_bundles.content.check import UNPUBLISHED, check_files
from yoi_bundles.content.check_tree import load_bundle, verify_content
from yoi_bundles.content.findings import near_hint, raise_findings, shown_path, shown_word
from yoi_bundles.content.inheritance import find_chain, merge_profile, merge_tables
from yoi_bundles.content.memory import MemoryTree
from yoi_bundles.content.parse import blob_id_of, parse_file
from yoi_bundles.model.declarations import Profile
from yoi_bundles.model.finding import Finding
from yoi_bundles.model.ids import BlobId, Digest, Name, PromptKey, RelativePath, WorkspaceId
from yoi_bundles.model.limits import Limits

BASE = Path(__file__).parents[3] / "fixtures" / "findings" / "base"
DIGEST = Digest("ab" * 32)
GO = RelativePath("prompts/task/go.md")
# Put together at run time: no scanner is to stop at this file.
TOKEN = "_".join(["ghp", hashlib.sha256(b"made up").hexdigest()[:36]])


def make_files(**changes: str) -> dict[RelativePath, bytes]:
    """The sound base workspace; ``prompts__task__go_md="text"`` replaces a file."""
    files = {
        RelativePath(path.relative_to(BASE).as_posix()): path.read_bytes()
        for path in BASE.rglob("*")
        if path.is_file()
    }
    for path, text in changes.items():
        stem, _, suffix = path.replace("__", "/").rpartition("_")
        files[RelativePath(f"{stem}.{suffix}")] = text.encode()
    return files


def tree_of(files: Mapping[RelativePath, bytes], digest: Digest = DIGEST) -> MemoryTree:
    return MemoryTree(files, digest)


def codes(findings: tuple[Finding, ...]) -> list[str]:
    return [finding.code for finding in findings]


# --- what a bundle holds --------------------------------------------------------------


def test_a_bundle_holds_every_declaration_by_name() -> None:
    bundle = check_files(make_files(), digest=DIGEST).bundle
    assert bundle is not None
    assert bundle.digest == DIGEST
    assert bundle.manifest.value.default_profile == Name("worker")
    assert list(bundle.profiles) == [Name("common"), Name("worker")]
    assert list(bundle.prompts) == [PromptKey("role.worker"), PromptKey("task.go")]
    assert bundle.prompts[PromptKey("role.worker")].value.variables == (Name("project"),)
    assert {str(name): grant.value.kind for name, grant in bundle.grants.items()} == {
        "acme-key": "secret",
        "plugin-index": "plugin",
        "tool-tracker": "tool",
        "tracker-token": "secret",
        "work": "mount",
    }
    assert bundle.allow_list is None
    assert bundle.tool_policy is not None


def test_declarations_know_their_file_line_blob_and_table() -> None:
    files = make_files()
    bundle = check_files(files).bundle
    assert bundle is not None
    worker = bundle.profiles[Name("worker")]
    assert str(worker.source.file) == "profiles/worker.toml"
    assert worker.source.blob == blob_id_of(files[worker.source.file])
    assert worker.source.line_of(("tools", "optional", 1)) == 10
    assert worker.table["tools"] == {"required": ["look"], "optional": ["tracker", "lookup"]}


def test_without_a_digest_the_stand_in_is_used() -> None:
    bundle = check_files(make_files()).bundle
    assert bundle is not None
    assert bundle.digest == UNPUBLISHED == Digest("0" * 64)


def test_a_blob_id_is_the_one_git_gives() -> None:
    # `printf 'hello\n' | git hash-object --stdin` in a SHA-256 repository
    assert blob_id_of(b"hello\n") == BlobId(
        "2cf8d83d9ee29543b34a87727421fdecb7e3f3a183d337639025de576db9ebb4"
    )


def test_an_input_schema_keeps_its_arrays() -> None:
    bundle = check_files(make_files()).bundle
    assert bundle is not None
    assert bundle.tools[Name("look")].value.input_schema["required"] == ["path"]


# --- limits ---------------------------------------------------------------------------


def test_a_file_at_the_limit_passes_and_one_byte_more_does_not() -> None:
    limits = Limits(file_bytes=2000)
    text = "x" * 1999 + "\n"
    assert check_files(make_files(prompts__task__go_md=text), limits=limits).findings == ()
    result = check_files(make_files(prompts__task__go_md="x" + text), limits=limits)
    assert [(f.file, f.code) for f in result.findings] == [(str(GO), "too_large")]


def test_too_many_files_are_not_even_parsed() -> None:
    files = make_files(bundle_toml="not toml")
    assert codes(check_files(files, limits=Limits(files=len(files))).findings) != ["too_large"]
    assert codes(check_files(files, limits=Limits(files=len(files) - 1)).findings) == ["too_large"]


def test_too_many_bytes_together() -> None:
    files = make_files()
    total = sum(map(len, files.values()))
    assert check_files(files, limits=Limits(tree_bytes=total)).bundle is not None
    result = check_files(files, limits=Limits(tree_bytes=total - 1))
    assert codes(result.findings) == ["too_large"]


def test_findings_are_capped_with_errors_first_and_the_rest_counted() -> None:
    unused = {f"prompts__a{number:02}_md": "Unused.\n" for number in range(6)}
    faulty = {f"prompts__z{number:02}_md": "{{x}}\n{{y}}\n" for number in range(2)}
    files = make_files(**unused, **faulty)
    assert len(check_files(files).findings) == 12
    result = check_files(files, limits=Limits(findings=5))
    assert [finding.severity for finding in result.findings] == [
        "warning",
        *["error"] * 4,
        "warning",
    ]
    assert result.findings[-1].message == "7 more findings are not listed (limit 5)"
    errors_only = check_files(files, limits=Limits(findings=3))
    assert errors_only.findings[-1].severity == "error"
    assert errors_only.bundle is None


def test_an_unsafe_path_is_escaped_in_its_finding() -> None:
    files = make_files()
    files[RelativePath("prompts/\u202eevil.md")] = b"x\n"
    result = check_files(files)
    assert {finding.file for finding in result.findings} == {"prompts/\\u202eevil.md"}
    assert "forbidden_path" in codes(result.findings)


@pytest.mark.parametrize(
    "data", [b"one\n\ntw\xffo\n", "one\n\nä".encode("latin-1"), b"\n\n\xed\xa0\x80"]
)
def test_bytes_that_are_not_utf8_are_named_by_line(data: bytes) -> None:
    [finding] = check_files(make_files() | {GO: data}).findings
    assert (finding.file, finding.line, finding.code) == (str(GO), 3, "invalid_manifest")
    assert "UTF-8" in finding.message


# --- the allow list -------------------------------------------------------------------


def make_allowed(fingerprint: str | None) -> dict[RelativePath, bytes]:
    entry = f'[[allow]]\nfingerprint = "{fingerprint}"\nreason = "revoked in March"\n'
    changes = {"policies__allow_toml": entry} if fingerprint else {}
    return make_files(prompts__task__go_md=f"Never use {TOKEN}.\n", **changes)


def find_fingerprint() -> str:
    [finding] = check_files(make_allowed(None)).findings
    assert finding.code == "forbidden_material"
    assert finding.fingerprint is not None
    return finding.fingerprint


def test_a_listed_false_alarm_is_overlooked() -> None:
    result = check_files(make_allowed(find_fingerprint()))
    assert result.findings == ()
    assert result.bundle is not None
    assert result.bundle.allow_list is not None


def test_a_host_may_refuse_to_honour_the_list() -> None:
    files = make_allowed(find_fingerprint())
    result = check_files(files, honour_allow_list=False)
    assert codes(result.findings) == ["forbidden_material"]
    with pytest.raises(errors.ForbiddenMaterialError):
        verify_content(workspace=None, honour_allow_list=False)(tree_of(files))
    verify_content(workspace=None)(tree_of(files))


def test_a_list_entry_for_another_secret_does_not_help() -> None:
    result = check_files(make_allowed("0" * 32))
    assert [(f.file, f.code, f.severity) for f in result.findings] == [
        ("policies/allow.toml", "invalid_manifest", "warning"),
        (str(GO), "forbidden_material", "error"),
    ]


def test_a_broken_list_excuses_nothing() -> None:
    files = make_allowed(find_fingerprint())
    files[RelativePath("policies/allow.toml")] += b"until = 2027-01-01\n"
    assert codes(check_files(files).findings) == ["unsupported_declaration", "forbidden_material"]


def test_a_path_in_a_declaration_cannot_be_excused() -> None:
    tool = 'kind = "plugin"\nplugin = "index"\ndescription = "x"\n[input_schema]\ntype = "object"\n'
    files = make_files(tools__lookup_toml=tool + 'default = "/etc/passwd"\n')
    [finding] = check_files(files).findings
    assert (finding.code, finding.fingerprint) == ("forbidden_material", None)


# --- raising --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "text", "error"),
    [
        ("README.md", "x\n", errors.UnsupportedDeclarationError),
        ("grants/x.toml", "kind = 1\n", errors.InvalidManifestError),
        ("prompts/x.md", f"{TOKEN}\n", errors.ForbiddenMaterialError),
        ("prompts/con.md", "x\n", errors.ForbiddenPathError),
        ("prompts/x.md", "x" * 3000, errors.TooLargeError),
    ],
)
def test_the_error_is_that_of_the_first_finding(
    path: str, text: str, error: type[errors.BundleError]
) -> None:
    files = make_files()
    files[RelativePath(path)] = text.encode()
    with pytest.raises(error) as caught:
        load_bundle(tree_of(files), Limits(file_bytes=2000))
    assert type(caught.value) is error
    assert caught.value.facts["file"] == path
    assert TOKEN not in str(caught.value.facts)


def test_the_error_names_place_and_count_and_lists_everything() -> None:
    files = make_files(grants__work_toml='kind = "mount"\nmode = "x"\ncolour = "y"\n')
    with pytest.raises(errors.InvalidManifestError) as caught:
        load_bundle(tree_of(files))
    message = caught.value.message
    assert message == "grants/work.toml:1: `description` is missing (and 2 more)"
    listed = caught.value.facts["findings"]
    assert isinstance(listed, list)
    assert [(entry["line"], entry["code"]) for entry in listed if isinstance(entry, dict)] == [
        (1, "invalid_manifest"),
        (2, "invalid_manifest"),
        (3, "unsupported_declaration"),
    ]
    assert set(listed[0]) == {"file", "line", "code", "message", "hint"}


def test_warnings_alone_are_not_raised() -> None:
    files = make_files(prompts__old_md="Unused.\n")
    assert load_bundle(tree_of(files)).digest == DIGEST
    with pytest.raises(ValueError, match="no finding of severity error"):
        raise_findings(check_files(files).findings)


def test_a_finding_of_an_unknown_code_still_raises() -> None:
    finding = Finding(file="x", code="from_a_plugin", message="no")
    with pytest.raises(errors.InvalidManifestError, match=r"^x: no$"):
        raise_findings([finding])


# --- step 9 ---------------------------------------------------------------------------


def test_step_9_accepts_the_workspace_it_names_or_any() -> None:
    reader = tree_of(make_files())
    verify_content(workspace=WorkspaceId("base"))(reader)
    verify_content(workspace=None)(reader)


def test_step_9_refuses_another_workspace_at_the_line_of_its_id() -> None:
    with pytest.raises(errors.InvalidManifestError, match=r"bundle\.toml:5: .*`base`, not `other`"):
        verify_content(workspace=WorkspaceId("other"))(tree_of(make_files()))


def test_step_9_applies_the_given_limits() -> None:
    check = verify_content(workspace=None, limits=Limits(files=3))
    with pytest.raises(errors.TooLargeError):
        check(tree_of(make_files()))


# --- nothing that looks like a secret is repeated -------------------------------------


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("grants/work.toml", 'kind = "mount"\ndescription = "x"\n{value} = 1\n'),
        ("grants/work.toml", 'kind = "{value}"\ndescription = "x"\n'),
        ("grants/work.toml", 'kind = "mount"\ndescription = "x"\nmode = "{value}"\n'),
        (
            "models/acme.toml",
            'kind = "acme"\ndescription = "x"\ncredential = "{value}"\nmodels = {{}}\n',
        ),
        ("profiles/worker.toml", 'description = "x"\n[secrets]\nrequired = ["{value}"]\n'),
        ("tools/tracker.toml", 'kind = "mcp-stdio"\n[environment]\n"{value}" = "{value}"\n'),
        ("grants/work.toml", "{value} = 1\n{value} = 2\n"),
        ("prompts/task/go.md", "{{{{ {value} }}}}\n"),
    ],
)
def test_values_that_do_not_parse_are_never_repeated(path: str, text: str) -> None:
    value = TOKEN.replace("_", "")
    files = make_files()
    files[RelativePath(path)] = text.format(value=value).encode()
    result = check_files(files)
    assert result.bundle is None
    assert value not in repr(result.findings)


# --- the seam for caching -------------------------------------------------------------


def test_a_parsed_file_depends_on_its_path_and_bytes_alone() -> None:
    path, data = RelativePath("grants/work.toml"), b'kind = "mount"\ndescription = "x"\n'
    first, second = (parse_file(path, blob_id_of(data), data) for _ in range(2))
    assert first == second
    assert first.declared is not None


# --- inheritance ----------------------------------------------------------------------


def test_tables_merge_deep_and_arrays_are_replaced() -> None:
    parent = {"a": 1, "t": {"x": [1, 2], "y": {"p": 1}}, "s": {"k": 1}}
    child = {"a": 2, "t": {"x": [3], "y": {"q": 2}}, "s": 5}
    assert merge_tables(parent, child) == {"a": 2, "t": {"x": [3], "y": {"p": 1, "q": 2}}, "s": 5}
    assert parent["t"] == {"x": [1, 2], "y": {"p": 1}}


def test_a_merged_profile_keeps_its_own_description_and_is_not_abstract() -> None:
    bundle = check_files(make_files()).bundle
    assert bundle is not None
    by_name = {str(name): declared for name, declared in bundle.profiles.items()}
    chain = find_chain("worker", by_name)
    merged = merge_profile(chain)
    assert isinstance(merged, Profile)
    assert (merged.description, merged.abstract) == ("Does the work", False)
    assert merged.engine.kind == "tool-loop"
    assert str(merged.engine.system_prompt) == "role.worker"
    assert str(merged.model.ref) == "acme/standard"


# --- wording --------------------------------------------------------------------------


def test_near_hints_prefer_what_is_near_and_stay_short() -> None:
    assert near_hint("coder", ["coder-2", "x"]) == "did you mean `coder-2`?"
    assert near_hint("q", []) == "known: none"
    many = [f"name-{number}" for number in range(20)]
    assert near_hint("zzz", many, what="tools").startswith("tools: `name-0`")
    assert near_hint("zzz", many).endswith(" …")


@pytest.mark.parametrize("word", ["mode", "max_turns", "role.coder", "X-1"])
def test_plain_words_are_shown(word: str) -> None:
    assert shown_word(word) == f"`{word}`"


@pytest.mark.parametrize("word", [TOKEN, "a" * 41, "with space", "a\nb", "12345678", "\u202e"])
def test_other_words_are_not_shown(word: str) -> None:
    assert shown_word(word) == "(not shown)"


def test_key_paths_read_as_people_write_them() -> None:
    assert shown_path(("rules", 0, "tools", 2)) == "`rules[0].tools[2]`"
    assert shown_path(()) == "the file"
