"""Which file of a tree holds what: path → kind and name, or a finding.

Source: docs/format.md, "The bundle tree, schema 1".
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias, get_args

from yoi_bundles.content.findings import INVALID, UNSUPPORTED, near_hint, shown_file
from yoi_bundles.errors import InvalidInputError
from yoi_bundles.model.finding import Finding
from yoi_bundles.model.ids import Name, PromptKey, RelativePath

FileKind: TypeAlias = Literal[
    "manifest",
    "profile",
    "prompt",
    "workflow",
    "workflow-text",
    "tool",
    "tool-policy",
    "allow-list",
    "plugin",
    "provider",
    "grant",
]
"""What a file of the tree declares."""

FILE_KINDS: tuple[FileKind, ...] = get_args(FileKind)

MANIFEST_PATH = RelativePath("bundle.toml")

_FIXED: dict[str, FileKind] = {
    "bundle.toml": "manifest",
    "policies/tools.toml": "tool-policy",
    "policies/allow.toml": "allow-list",
}
_NAMED: dict[tuple[str, str], FileKind] = {
    ("profiles", ".toml"): "profile",
    ("workflows", ".toml"): "workflow",
    ("workflows", ".md"): "workflow-text",
    ("tools", ".toml"): "tool",
    ("plugins", ".toml"): "plugin",
    ("models", ".toml"): "provider",
    ("grants", ".toml"): "grant",
}
_DIRECTORIES = (
    "profiles",
    "prompts",
    "workflows",
    "tools",
    "policies",
    "plugins",
    "models",
    "grants",
)
_NAME_HINT = "lower-case letters, digits and `-`; at most 63 characters"


class Place(NamedTuple):
    """A file's kind and the name that its path gives to what it declares.

    Args:
        name: ``bundle`` for bundle.toml, ``tools`` and ``allow`` for the policies, a dotted key
            for a prompt, the file name without suffix otherwise.
    """

    kind: FileKind
    name: str


def find_place(path: RelativePath) -> Place | Finding:
    """The place of a file in the layout, or what is wrong with its path."""
    text = str(path)
    fixed = _FIXED.get(text)
    if fixed is not None:
        return Place(fixed, text.rpartition("/")[2].removesuffix(".toml"))
    directory, _, rest = text.partition("/")
    if not rest:
        return _refused(path, "is not a file of the layout", _top_hint(text))
    if directory not in _DIRECTORIES:
        return _refused(
            path,
            "is in an unknown directory",
            near_hint(directory, _DIRECTORIES, what="directories"),
        )
    if directory == "prompts":
        return _find_prompt(path, rest)
    if directory == "policies":
        return _refused(path, "is not a policy file", near_hint(rest, ("tools.toml", "allow.toml")))
    return _find_named(path, directory, rest)


def _find_named(path: RelativePath, directory: str, rest: str) -> Place | Finding:
    stem, dot, suffix = rest.rpartition(".")
    kind = _NAMED.get((directory, dot + suffix))
    if "/" in rest:
        return _refused(path, f"is too deep: {directory}/ holds files only", None)
    if kind is None:
        suffixes = [known for parent, known in _NAMED if parent == directory]
        return _refused(
            path, f"has a suffix unknown in {directory}/", f"known: {', '.join(suffixes)}"
        )
    try:
        return Place(kind, str(Name.parse(stem)))
    except InvalidInputError:
        return _misnamed(path)


def _find_prompt(path: RelativePath, rest: str) -> Place | Finding:
    if not rest.endswith(".md"):
        return _refused(path, "has a suffix unknown in prompts/", "known: .md")
    stem = rest.removesuffix(".md")
    if "." in stem:
        return _misnamed(path)
    try:
        return Place("prompt", str(PromptKey.parse(stem.replace("/", "."))))
    except InvalidInputError:
        return _misnamed(path)


def _top_hint(text: str) -> str:
    if text.lower().startswith(("readme", "license", "changelog", "contributing", "notice")):
        return (
            "a bundle holds declarations only: put prose into a `description`, or keep the file "
            "beside the workspace's directory"
        )
    if text in _DIRECTORIES:
        return f"`{text}` is a directory of the layout, not a file"
    return near_hint(text, ("bundle.toml",), what="the only file at the top")


def _refused(path: RelativePath, message: str, hint: str | None) -> Finding:
    return Finding(
        file=shown_file(path), code=UNSUPPORTED, message=f"this file {message}", hint=hint
    )


def _misnamed(path: RelativePath) -> Finding:
    return Finding(
        file=shown_file(path),
        code=INVALID,
        message="this file's name is not a name of a declaration",
        hint=_NAME_HINT,
    )
