"""Names that are the same file, and a harmless one, on every supported file system.

A tree is refused if a name in it is unsafe anywhere, not only on the machine that looks: a bundle
accepted on Linux must be one that a clone on macOS or Windows can hold.

Source: git's ``verify_path``, ``is_hfs_dotgit`` and ``is_ntfs_dotgit``; Windows "Naming Files,
Paths, and Namespaces"; Unicode DerivedCoreProperties (Default_Ignorable_Code_Point).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from yoi_bundles.errors import ForbiddenPathError, InvalidInputError
from yoi_bundles.model.ids import RelativePath
from yoi_bundles.model.limits import DEFAULT_LIMITS, Limits

_WINDOWS_RESERVED_CHARACTERS = frozenset('<>:"|?*\\')
_DEVICE = re.compile(r"(?i)(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9\u00b9\u00b2\u00b3])")
# git~1 is the 8.3 alias of .git; gitmod~1 and gi7eba~1 those of .gitmodules; others likewise.
_DOTGIT = re.compile(
    r"(?i)(\.git|\.gitmodules|\.gitattributes|(git|gitmod|gitatt|gi[0-9a-f]{4})~\d+)"
)
# Cn: what a later Unicode assigns may fold or compose, so two hosts would not agree on it.
_FORBIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cn", "Cs", "Co", "Zl", "Zp"})
# Default_Ignorable_Code_Point outside category Cf: invisible, so two names look like one.
_IGNORABLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
# Nearly every name: no dot at either end, and not a device; none of the other rules can apply.
_PLAIN_NAME = (
    r"(?!(?i:con|prn|aux|nul|(?:com|lpt)[0-9])(?:[./]|$))[A-Za-z0-9_-]+(?:\.+[A-Za-z0-9_-]+)*"
)
_PLAIN = re.compile(_PLAIN_NAME)
_PLAIN_PATH = re.compile(rf"{_PLAIN_NAME}(?:/{_PLAIN_NAME})*")


def verify_name(name: str, limits: Limits = DEFAULT_LIMITS) -> str:
    """Return the name if it may stand in a tree.

    Args:
        name: One path component, decoded from UTF-8.
        limits: Bounds; ``name_bytes`` applies to the UTF-8 form.

    Raises:
        ForbiddenPathError: The name is empty, ``.`` or ``..``, a spelling of ``.git``, a Windows
            device or stream, not in NFC, too long, ends with a dot or a space, or holds a
            separator, control, bidirectional, invisible or unassigned character.
    """
    reason = _find_fault(name, limits)
    if reason is not None:
        raise ForbiddenPathError(f"the name {_shown(name)} {reason}", name=_shown(name))
    return name


def _find_fault(name: str, limits: Limits) -> str | None:
    """The rule that the name breaks, or None."""
    if _PLAIN.fullmatch(name):
        return _find_length_fault(name, limits)
    if name in ("", ".", ".."):
        return "is not a file name"
    if _DOTGIT.fullmatch(name):
        return "means a git control file to some file system"
    if _DEVICE.fullmatch(name.split(".", 1)[0].rstrip(" ")):
        return "is a Windows device"
    return _find_character_fault(name) or _find_length_fault(name, limits)


def _find_length_fault(name: str, limits: Limits) -> str | None:
    # A lone surrogate is reported as a forbidden character before its length is asked for.
    size = len(name) if name.isascii() else len(name.encode("utf-8"))
    return f"is longer than {limits.name_bytes} bytes" if size > limits.name_bytes else None


def _find_character_fault(name: str) -> str | None:
    if name[-1] in ". " or name[0] == " ":
        return "begins with a space or ends with a dot or a space"
    for character in name:
        if character == "/" or character in _WINDOWS_RESERVED_CHARACTERS:
            return f"holds the reserved character {character!a}"
        category = unicodedata.category(character)
        if category in _FORBIDDEN_CATEGORIES or (category == "Zs" and character != " "):
            return f"holds the control, invisible or unassigned character {character!a}"
    if _IGNORABLE.search(name):
        return "holds an invisible character"
    if not unicodedata.is_normalized("NFC", name):
        return "is not in Unicode normal form C"
    return None


def fold_name(name: str) -> str:
    """The form in which file systems that ignore case and composition compare names."""
    if name.isascii():
        return name.lower()
    folded = unicodedata.normalize("NFD", name).casefold()
    return unicodedata.normalize("NFC", folded)


def verify_siblings(names: Iterable[str]) -> None:
    """Check that no two names of one directory are the same on some file system.

    Args:
        names: Names of one directory, each acceptable to `verify_name`.

    Raises:
        ForbiddenPathError: Two names are equal, or differ only in case or composition.
    """
    seen: dict[str, str] = {}
    for name in names:
        folded = fold_name(name)
        if folded in seen:
            raise ForbiddenPathError(
                f"{_shown(seen[folded])} and {_shown(name)} are one file where case is ignored",
                name=_shown(name),
            )
        seen[folded] = name


def is_plain_path(text: str, limits: Limits = DEFAULT_LIMITS) -> bool:
    """Whether a path is one that `parse_tree_path` need not look at closely; most are.

    Args:
        text: Names with ``/`` between them.
        limits: As for `parse_tree_path`.
    """
    return (
        len(text) <= min(limits.name_bytes, limits.path_bytes, RelativePath.max_length)
        and text.count("/") <= limits.tree_depth
        and _PLAIN_PATH.fullmatch(text) is not None
    )


def parse_tree_path(text: str, limits: Limits = DEFAULT_LIMITS) -> RelativePath:
    """Turn text into a path whose every name may stand in a tree.

    Args:
        text: Names with ``/`` between them.
        limits: Bounds; ``name_bytes``, ``path_bytes`` and ``tree_depth`` apply.

    Raises:
        ForbiddenPathError: A name is unsafe, or the path is too long or too deep.
    """
    if is_plain_path(text, limits):
        return RelativePath(text)
    names = text.split("/")
    for name in names:
        verify_name(name, limits)
    if len(text.encode("utf-8")) > limits.path_bytes:
        raise ForbiddenPathError(
            f"the path {_shown(text)} is longer than {limits.path_bytes} bytes",
            limit=limits.path_bytes,
            limit_name="path_bytes",
        )
    if len(names) - 1 > limits.tree_depth:
        raise ForbiddenPathError(
            f"the path {_shown(text)} is deeper than {limits.tree_depth} directories",
            limit=limits.tree_depth,
            limit_name="tree_depth",
        )
    try:
        return RelativePath.parse(text)
    except InvalidInputError as error:
        raise ForbiddenPathError(error.message, name=_shown(text)) from None


def verify_paths(paths: Iterable[RelativePath]) -> None:
    """Check that paths can stand in one tree together.

    Args:
        paths: Paths, each acceptable to `parse_tree_path`.

    Raises:
        ForbiddenPathError: A path is also a directory of another one, or two names of one
            directory collide.
    """
    files = {str(path) for path in paths}
    if _are_plainly_apart(files):
        return
    directories: dict[str, set[str]] = {}
    for path in files:
        parent, name = path, ""
        while parent:
            parent, _, name = parent.rpartition("/")
            directories.setdefault(parent, set()).add(name)
    for parent, names in directories.items():
        if parent in files:
            raise ForbiddenPathError(
                f"{_shown(parent)} is a file and a directory", name=_shown(parent)
            )
        verify_siblings(sorted(names))


def _are_plainly_apart(files: set[str]) -> bool:
    """Whether ASCII paths differ in more than case, and none is a directory of another."""
    if not all(map(str.isascii, files)):
        return False
    directories = set[str]()
    parents = {path.rpartition("/")[0] for path in files}
    while parents:
        directories |= parents
        parents = {path.rpartition("/")[0] for path in parents} - directories
    directories.discard("")
    folded = set(map(str.lower, files))
    folded_directories = set(map(str.lower, directories))
    return (
        len(folded) == len(files)
        and len(folded_directories) == len(directories)
        and folded.isdisjoint(folded_directories)
    )


def _shown(text: str) -> str:
    """Text from outside as it may stand in a message: escaped and short."""
    return ascii(text if len(text) <= 60 else text[:57] + "...")
