"""What people write: host policy, visibility policy, and the files of a bundle."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from contextlib import suppress

from fuzz.hostile import BASE_FILES, ROOT
from fuzz.hostile import content as hostile_content
from fuzz.target import Target, must, must_equal, texts_of, verify_texts
from yoi_bundles.backend.fleet.visibility_file import parse_visibility
from yoi_bundles.content.check import CheckResult, check_files
from yoi_bundles.content.check_tree import load_bundle
from yoi_bundles.content.memory import MemoryTree
from yoi_bundles.content.toml_lines import index_lines
from yoi_bundles.errors import BundleError, error_classes
from yoi_bundles.model.bundle import KeyPath
from yoi_bundles.model.host_policy import HostFacts, HostPolicy
from yoi_bundles.model.ids import ContentHash, RelativePath, WorkerId
from yoi_bundles.model.limits import KIB, Limits
from yoi_bundles.model.paths import parse_tree_path
from yoi_bundles.model.request import BundleRef, CreateWorkerRequest, Intent
from yoi_bundles.resolve import resolve
from yoi_bundles.runtime.host.policy_text import parse_host_policy, receive_limits
from yoi_bundles.store.tree.objects import Kind, parse_tree
from yoi_bundles.store.tree.trees import build_tree

TOKEN = "ghp_" + "a1B2c3D4e5" * 3 + "f6G7h8"
"""A made-up secret; wherever a file holds it, no finding may."""

LIMITS = Limits(files=60, tree_bytes=64 * KIB, file_bytes=16 * KIB, findings=40)
_FINDINGS = frozenset(
    {
        "invalid_manifest",
        "unsupported_declaration",
        "forbidden_material",
        "forbidden_path",
        "too_large",
    }
)
_RESOLUTION = frozenset(
    {
        "invalid_profile_selector",
        "policy_denied",
        "unsupported_declaration",
        "invalid_manifest",
    }
)
_POLICY_DIGEST = ContentHash("sha256:" + "d" * 64)
_OPEN_POLICY = HostPolicy.model_validate(
    {
        "schema": 1,
        "bundles": {"workspaces": ["*"]},
        "network": [{"hosts": ["*"]}],
        "tool": [{"tools": ["*"], "programs": ["*"]}],
        "capabilities": {"shell": {"commands": ["*"]}, "git": {"operations": ["read"]}},
    }
)


# --- host policy and visibility policy -----------------------------------------------------------


def check_policy(data: bytes) -> None:
    """A policy means the same with other line ends, and every key of it has its line."""
    policy = parse_host_policy(data)
    receive_limits(policy)
    text = data.decode("utf-8")
    must_equal(parse_host_policy(text.replace("\n", "\r\n").encode()), policy, "with CRLF")
    again = HostPolicy.model_validate(policy.model_dump(by_alias=True))
    must_equal(again, policy, "dumped and read")
    _verify_lines(text.replace("\r\n", "\n"))


def check_visibility(data: bytes) -> None:
    """A policy survives being dumped, and every key of it has its line."""
    policy = parse_visibility(data)
    must_equal(type(policy).model_validate(policy.model_dump(by_alias=True)), policy, "dumped")
    _verify_lines(data.decode("utf-8"))


def _verify_lines(text: str) -> None:
    """The index of lines knows each key that the reader of values knows, and no line beyond."""
    lines = index_lines(text)
    last = text.count("\n") + 1
    must(all(1 <= line <= last for line in lines.values()), "a line beyond the text")
    missed = [path for path in _paths_in(tomllib.loads(text)) if path not in lines]
    must_equal(missed, [], "keys without a line")


def _paths_in(value: object, path: KeyPath = ()) -> Iterator[KeyPath]:
    yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _paths_in(inner, (*path, key))
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield from _paths_in(inner, (*path, at))


def _policy_seeds() -> Mapping[str, bytes]:
    found = {path.stem: path.read_bytes() for path in (ROOT / "fixtures/policies").glob("*.toml")}
    return found | {
        "empty": b"schema = 1\n",
        "misspelt": b"schema = 1\n[[secret]]\nnam = 'x'\nenv = 'X'\n",
        "types": b"schema = true\nnetwork = 3\n[limits.receive]\nobjets = 1\n",
        "quoted": b'schema = 1\n["capabilities"."shell"]\n"commands" = ["a"]\n"\\u001b" = 1\n',
        "inline": b"schema = 1\nmount = [{ name = 'a', path = '/x' }, { name = 'b' }]\n",
        "nested": b"schema = " + b"[" * 400 + b"]" * 400,
        "long-strings": b"schema = 1\nx = \"\"\"a\n\"\"\"\ny = '''b\n'''\n",
    }


def _visibility_seeds() -> Mapping[str, bytes]:
    return {
        "empty": b"",
        "rule": b'schema = 1\n[[rule]]\nlabels = { region = "eu" }\nworkspaces = ["team"]\n',
        "two": b"[[rule]]\nruntimes = ['all-*']\nworkspaces = ['*']\n[[rule]]\nworkspaces=['a']\n",
        "misspelt": b"[[rules]]\nworkspace = ['x']\n",
        "not-utf8": b"schema = 1\n# \xff\n",
        "nested": b"schema = " + b"[" * 400 + b"]" * 400,
    }


# --- the files of a bundle -----------------------------------------------------------------------


def read_files(data: bytes) -> dict[RelativePath, bytes]:
    """Files by path: each begins with a line of ``--- `` and its path."""
    files = {}
    for part in (b"\n" + data).split(b"\n--- ")[1:]:
        path, _, body = part.partition(b"\n")
        text = path.decode("utf-8", "replace")
        with suppress(BundleError):
            files[parse_tree_path(text, LIMITS)] = body + b"\n" if body else b""
    return files


def encode_files(files: Mapping[str, bytes]) -> bytes:
    """The same as an input."""
    return b"".join(f"--- {path}\n".encode() + data for path, data in files.items())


def check_content(data: bytes) -> None:
    """A check only ever finds; what it accepts is a tree that a receiver accepts too."""
    files = read_files(data)
    result = check_files(files, limits=LIMITS)
    _verify_findings(result, files)
    if result.bundle is None:
        return
    verify_texts([result.bundle.manifest.value, result.bundle.profiles, result.bundle.tools])
    tree = build_tree(files, LIMITS)
    for kind, raw in tree.objects.values():
        if kind == Kind.TREE:
            parse_tree(raw, LIMITS)
    bundle = load_bundle(MemoryTree(files, tree.digest), LIMITS)
    must_equal(bundle.profiles.keys(), result.bundle.profiles.keys(), "profiles read again")
    for name in bundle.profiles:
        request = CreateWorkerRequest(
            worker_id=WorkerId("w"),
            selector=f"project:{name}",
            bundle=BundleRef(workspace=bundle.manifest.value.workspace.id, digest=tree.digest),
            intent=Intent(summary="x"),
        )
        with suppress(*_errors_of(_RESOLUTION)):
            made = resolve(
                bundle,
                mode="synced",
                commit=None,
                request=request,
                policy=_OPEN_POLICY,
                policy_digest=_POLICY_DIGEST,
                facts=HostFacts(),
            )
            verify_texts(made.spec)


def _errors_of(codes: frozenset[str]) -> list[type[BundleError]]:
    return [cls for cls in error_classes() if cls.code in codes]


def _verify_findings(result: CheckResult, files: Mapping[RelativePath, bytes]) -> None:
    has_errors = any(finding.severity == "error" for finding in result.findings)
    must_equal(result.bundle is None, has_errors, "no bundle exactly if there are errors")
    must(len(result.findings) <= LIMITS.findings + 2, "findings beyond their limit")
    for finding in result.findings:
        must(finding.code in _FINDINGS, f"a finding with the code {finding.code}")
        verify_texts(finding.model_dump())
        must(TOKEN not in " ".join(texts_of(finding)), "a finding that repeats a secret")
        known = files.get(RelativePath(finding.file))
        if known is not None and finding.line is not None:
            must(finding.line <= known.count(b"\n") + 1, f"line {finding.line} of {finding.file}")


def _content_seeds() -> Mapping[str, bytes]:
    base = {path: data[:400] for path, data in BASE_FILES.items()}
    found = {"base": encode_files(base)}
    for name, changes in hostile_content.FILES.items():
        merged = {k: v for k, v in {**base, **changes}.items() if v is not None}
        found[name] = encode_files(merged)
    found["a-secret"] = encode_files({**base, "prompts/x.md": f"Use {TOKEN} here\n".encode()})
    tree = ROOT / "fixtures/findings/base"
    files = {p.relative_to(tree).as_posix(): p.read_bytes() for p in sorted(tree.rglob("*.*"))}
    found["full"] = encode_files(files)
    cases = tomllib.loads((ROOT / "fixtures/findings/cases.toml").read_text("utf-8"))["case"]
    for case in cases:
        extra = case.get("files", {}).items()
        found[case["name"]] = encode_files({**base, **{k: str(v).encode() for k, v in extra}})
    return {name: data for name, data in found.items() if len(data) <= 12 * KIB}


TARGETS = (
    Target("policy", check_policy, frozenset({"invalid_host_policy"}), _policy_seeds),
    Target("visibility", check_visibility, frozenset({"invalid_input"}), _visibility_seeds),
    Target("content", check_content, frozenset(), _content_seeds, max_bytes=12 * KIB),
)
