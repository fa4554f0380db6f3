"""Selectors: the expression in a request that picks a profile."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from yoi_bundles.errors import InvalidInputError, InvalidProfileSelectorError
from yoi_bundles.model.bundle import Bundle
from yoi_bundles.model.ids import Name
from yoi_bundles.model.spec import Mode

_FORMS = "a selector is default, project:<name> or builtin:<name>"
_MODE_OF = {"project": "synced", "builtin": "builtin"}


@dataclass(frozen=True, slots=True)
class Selector:
    """``default``, or a profile by name and the kind of tree it stands in."""

    kind: Literal["default", "project", "builtin"]
    name: Name | None

    def __str__(self) -> str:
        return self.kind if self.name is None else f"{self.kind}:{self.name}"


def parse_selector(text: str) -> Selector:
    """Turn text into a selector; nothing is trimmed or folded.

    Args:
        text: ``default``, ``project:<name>`` or ``builtin:<name>``.

    Raises:
        InvalidProfileSelectorError: The text is none of the three forms.
    """
    if text == "default":
        return Selector("default", None)
    kind, colon, rest = text.partition(":")
    if not colon or kind not in ("project", "builtin"):
        raise InvalidProfileSelectorError(f"{_shown(text)} is not a selector", hint=_FORMS)
    try:
        name = Name.parse(rest)
    except InvalidInputError as error:
        raise InvalidProfileSelectorError(
            f"{_shown(text)} is not a selector: {error.message}", hint=_FORMS
        ) from None
    return Selector("project" if kind == "project" else "builtin", name)


def select_profile(bundle: Bundle, selector: Selector, mode: Mode) -> Name:
    """The name of the profile that a selector picks in a bundle; it exists and is not abstract.

    Args:
        bundle: The tree of the workspace (``synced``) or of the package (``builtin``).
        selector: ``project:`` needs mode ``synced``, ``builtin:`` needs ``builtin``.
        mode: Which of the two trees the bundle is.

    Raises:
        InvalidProfileSelectorError: The selector does not fit the mode, or names no profile that
            may be selected; the hint lists near matches.
    """
    wanted_mode = _MODE_OF.get(selector.kind, mode)
    if wanted_mode != mode:
        raise InvalidProfileSelectorError(
            f"the selector {selector} does not fit {mode} mode",
            hint=_mode_hint(mode),
            selector=str(selector),
            mode=mode,
        )
    name = selector.name or bundle.manifest.value.default_profile
    declared = bundle.profiles.get(name)
    if declared is None:
        raise _not_found(bundle, selector, name, mode, f"the bundle has no profile {name}")
    if declared.value.abstract:
        raise _not_found(
            bundle, selector, name, mode, f"the profile {name} is abstract: a base for others"
        )
    return name


def _mode_hint(mode: Mode) -> str:
    if mode == "synced":
        return "the request names a bundle: use project:<name>, or leave the bundle out"
    return "the request names no bundle: add one, or use builtin:<name>"


def _not_found(
    bundle: Bundle, selector: Selector, name: Name, mode: Mode, message: str
) -> InvalidProfileSelectorError:
    selectable = sorted(
        str(other) for other, declared in bundle.profiles.items() if not declared.value.abstract
    )
    near = difflib.get_close_matches(str(name), selectable, n=3, cutoff=0.5)
    prefix = "project" if mode == "synced" else "builtin"
    return InvalidProfileSelectorError(
        message, hint=_name_hint(near, selectable, prefix), selector=str(selector), near=near
    )


def _name_hint(near: list[str], selectable: list[str], prefix: str) -> str:
    if near:
        return f"did you mean {_listed(near, prefix)}?"
    if selectable:
        return f"profiles that may be selected: {_listed(selectable[:10], prefix)}"
    return "the bundle has no profile that may be selected"


def _listed(names: Iterable[str], prefix: str) -> str:
    return ", ".join(f"{prefix}:{name}" for name in names)


def _shown(text: str) -> str:
    """Text from outside as it may stand in a message: escaped and short."""
    return ascii(text if len(text) <= 60 else text[:57] + "...")
