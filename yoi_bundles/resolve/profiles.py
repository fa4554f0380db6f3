"""Profiles: inheritance along ``extends``, and who set which field.

Source: docs/format.md, "Profiles": tables merge deep, scalars and arrays are replaced.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from pydantic import ValidationError

from yoi_bundles.content import inheritance
from yoi_bundles.model.bundle import Bundle, Declared, KeyPath, Source
from yoi_bundles.model.declarations import Profile
from yoi_bundles.model.ids import Name
from yoi_bundles.model.spec import FieldOrigin, Layer, Place
from yoi_bundles.resolve.places import invalid_manifest, make_place

MAX_PARENTS = inheritance.MAX_DEPTH
"""Profiles above the selected one."""

_Setters: TypeAlias = dict[KeyPath, tuple[Source, ...]]


@dataclass(frozen=True, slots=True)
class MergedProfile:
    """A profile after inheritance.

    Args:
        name: The profile that was selected.
        profile: Its value after the merge.
        layers: The profiles that took part, base first.
        origins: Which layers set each field, in field order.
        own: The file of the selected profile.
        setters: Files that set each field, base first.
    """

    name: Name
    profile: Profile
    layers: tuple[Layer, ...]
    origins: tuple[FieldOrigin, ...]
    own: Source
    setters: Mapping[KeyPath, tuple[Source, ...]]

    def place_of(self, path: KeyPath) -> Place:
        """Where the value of a field comes from; the selected file if nobody sets it.

        Args:
            path: Key path of the field, array positions allowed: ``("tools", "required", 0)``.
        """
        for end in range(len(path), 0, -1):
            sources = self.setters.get(path[:end])
            if sources:
                return make_place(sources[-1], path)
        return make_place(self.own, path)


def merge_profile(bundle: Bundle, name: Name) -> MergedProfile:
    """Merge a profile with its bases; what comes out is a valid profile.

    Args:
        bundle: The tree; every ``extends`` resolves inside it.
        name: A profile of the bundle.

    Raises:
        InvalidManifestError: A base is missing, the chain is a circle or longer than
            `MAX_PARENTS`, or the merged table is not a profile.
    """
    chain = _list_chain(bundle, name)
    setters: _Setters = {}
    for _, declared in chain[:-1]:
        inherited = {k: v for k, v in declared.table.items() if k not in inheritance.NOT_INHERITED}
        _note_setters(inherited, (), declared.source, setters)
    own = chain[-1][1]
    _note_setters(own.table, (), own.source, setters)
    return MergedProfile(
        name=name,
        profile=_merge([declared for _, declared in reversed(chain)]),
        layers=tuple(
            Layer(file=declared.source.file, blob=declared.source.blob, profile=layer)
            for layer, declared in chain
        ),
        origins=_list_origins(setters),
        own=own.source,
        setters=setters,
    )


def _list_chain(bundle: Bundle, name: Name) -> list[tuple[Name, Declared[Profile]]]:
    """The profile and its bases, base first."""
    declared = bundle.profiles[name]
    chain = [(name, declared)]
    seen = {name}
    while declared.value.extends is not None:
        base, place = declared.value.extends, make_place(declared.source, ("extends",))
        if base in seen:
            raise invalid_manifest(f"the profile {name} extends itself through {base}", place)
        if base not in bundle.profiles:
            raise invalid_manifest(f"the profile {base} to extend is not in the bundle", place)
        if len(chain) > MAX_PARENTS:
            raise invalid_manifest(f"more than {MAX_PARENTS} profiles above {name}", place)
        seen.add(base)
        declared = bundle.profiles[base]
        chain.append((base, declared))
    return chain[::-1]


def _note_setters(
    table: Mapping[str, object], path: KeyPath, source: Source, into: _Setters
) -> None:
    for key, value in table.items():
        here = (*path, key)
        if isinstance(value, Mapping):
            _note_setters(value, here, source, into)
        else:
            into[here] = (*into.get(here, ()), source)


def _merge(chain: list[Declared[Profile]]) -> Profile:
    """The merged value of a profile and its parents, the profile first."""
    try:
        return inheritance.merge_profile(chain)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise invalid_manifest(
            f"after inheritance {'.'.join(map(str, first['loc']))} is wrong: {first['msg']}",
            make_place(chain[0].source, first["loc"]),
        ) from None


def _list_origins(setters: _Setters) -> tuple[FieldOrigin, ...]:
    return tuple(
        FieldOrigin(
            field=".".join(map(str, path)),
            set_by=tuple(make_place(source, path) for source in setters[path]),
        )
        for path in sorted(setters, key=str)
    )
