"""Asks: every power a profile asks for, directly or through what it uses, and where.

This part depends on the bundle and the profile only, so its result can be kept with the bundle.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from yoi_bundles.model.bundle import Bundle, Declared, Source
from yoi_bundles.model.declarations import ModelEntry, Provider
from yoi_bundles.model.ids import ModelRef, Name
from yoi_bundles.model.powers import PowerRef
from yoi_bundles.model.request import CreateWorkerRequest
from yoi_bundles.model.spec import Place
from yoi_bundles.resolve.places import invalid_manifest, make_place
from yoi_bundles.resolve.profiles import MergedProfile

Asker: TypeAlias = PowerRef | ModelRef
"""What needs a power: a tool, a plugin, or a fallback model."""

_NAME_USES = {"tools": "tool", "plugins": "plugin"}
_REF_USES = ("secrets", "mounts", "network", "capabilities")


@dataclass(frozen=True, slots=True)
class Need:
    """One power that a tool, a plugin or a fallback model asks for.

    Args:
        is_permission: A plugin's permission: the plugin works without it.
    """

    asker: Asker
    power: PowerRef
    is_permission: bool = False


@dataclass(frozen=True, slots=True)
class AskSheet:
    """All powers of one profile.

    Args:
        direct: Powers the profile or its main model names; True for the required ones.
        model: Powers of the main model; always within the request.
        needs: What tools, plugins and fallback models ask for in turn.
        places: Where each power is asked for, the askers' lines before the grant's own.
        fallbacks: Fallback models in their order.
    """

    direct: Mapping[PowerRef, bool]
    model: frozenset[PowerRef]
    needs: tuple[Need, ...]
    places: Mapping[PowerRef, tuple[Place, ...]]
    fallbacks: tuple[ModelRef, ...]


@dataclass(frozen=True, slots=True)
class Ask:
    """One power as one request asks for it."""

    power: PowerRef
    is_required: bool
    is_within_request: bool
    is_asked_by_profile: bool
    places: tuple[Place, ...]


def collect_asks(bundle: Bundle, merged: MergedProfile) -> AskSheet:
    """List every power that a profile asks for, with what it implies.

    Args:
        bundle: The tree the profile stands in.
        merged: The profile after inheritance.

    Raises:
        InvalidManifestError: A reference does not resolve inside the bundle, or the profile names
            no model.
    """
    collector = _Collector(bundle, merged)
    collector.add_uses()
    collector.add_models()
    collector.follow_needs()
    return collector.finish()


def find_model(bundle: Bundle, ref: ModelRef) -> tuple[Declared[Provider], ModelEntry] | None:
    """The provider and entry of a model reference, or None."""
    provider = bundle.providers.get(ref.provider)
    entry = provider.value.models.get(ref.model) if provider else None
    return (provider, entry) if provider and entry else None


def scope_asks(sheet: AskSheet, request: CreateWorkerRequest) -> tuple[Ask, ...]:
    """The asks of one request in power order: which are required, which are within it.

    A power that the request requires is required even if the profile asks for it as an option; what
    a required tool needs is required too.
    """
    demanded = {ref.power for ref in request.required_capabilities}
    within = None
    if request.optional_capabilities is not None:
        within = demanded | {ref.power for ref in request.optional_capabilities} | sheet.model
    required = _close_over_needs(
        {power for power, is_required in sheet.direct.items() if is_required} | demanded,
        sheet.needs,
    )
    return tuple(
        Ask(
            power=power,
            is_required=power in required,
            is_within_request=within is None or power in within,
            is_asked_by_profile=power in sheet.places,
            places=sheet.places.get(power, ()),
        )
        for power in sorted(demanded | sheet.places.keys())
    )


def _close_over_needs(required: set[PowerRef], needs: tuple[Need, ...]) -> set[PowerRef]:
    """The required powers and all that they cannot work without."""
    by_asker: dict[Asker, list[PowerRef]] = {}
    for need in needs:
        if not need.is_permission:
            by_asker.setdefault(need.asker, []).append(need.power)
    found: set[PowerRef] = set()
    queue = list(required)
    while queue:
        power = queue.pop()
        if power not in found:
            found.add(power)
            queue.extend(by_asker.get(power, ()))
    return found


@dataclass(slots=True)
class _Collector:
    bundle: Bundle
    merged: MergedProfile
    direct: dict[PowerRef, bool] = field(default_factory=dict)
    model: set[PowerRef] = field(default_factory=set)
    needs: dict[Need, None] = field(default_factory=dict)
    places: dict[PowerRef, list[Place]] = field(default_factory=dict)
    queue: list[PowerRef] = field(default_factory=list)

    def add_uses(self) -> None:
        """What the profile names itself."""
        profile = self.merged.profile
        for section, kind in _NAME_USES.items():
            uses = profile.tools if section == "tools" else profile.plugins
            for group, names in (("required", uses.required), ("optional", uses.optional)):
                for index, name in enumerate(names):
                    power = PowerRef(f"{kind}:{name}")
                    self._ask_directly(power, group, (section, group, index))
        for section in _REF_USES:
            for group in ("required", "optional"):
                refs: tuple[PowerRef, ...] = getattr(getattr(profile, section), group)
                for index, ref in enumerate(refs):
                    self._ask_directly(ref.power, group, (section, group, index))

    def add_models(self) -> None:
        """Credential and network of the main model and of its fallbacks."""
        choice = self.merged.profile.model
        if choice.ref is None:
            raise invalid_manifest(
                f"the profile {self.merged.name} names no model",
                self.merged.place_of(("model",)),
                hint='set ref = "<provider>/<model>" in [model]',
            )
        for power in self._list_model_powers(choice.ref, ("model", "ref")):
            self.direct[power] = True
            self.model.add(power)
        for index, ref in enumerate(choice.fallbacks):
            for power in self._list_model_powers(ref, ("model", "fallbacks", index)):
                self.needs[Need(ref, power)] = None

    def _list_model_powers(self, ref: ModelRef, path: tuple[str | int, ...]) -> list[PowerRef]:
        place = self.merged.place_of(path)
        found = find_model(self.bundle, ref)
        if found is None:
            raise invalid_manifest(f"the model {ref} is not in the bundle", place)
        provider = found[0]
        powers = []
        for key in ("credential", "network"):
            wanted: PowerRef | None = getattr(provider.value, key)
            if wanted is not None:
                self._note(wanted.power, place)
                self._note(wanted.power, make_place(provider.source, (key,)))
                powers.append(wanted.power)
        return powers

    def follow_needs(self) -> None:
        """What tools and plugins ask for in turn, until nothing new turns up."""
        while self.queue:
            power = self.queue.pop()
            if power.kind == "tool":
                self._add_tool_needs(power)
            elif power.kind == "plugin":
                self._add_permissions(power)

    def _add_tool_needs(self, power: PowerRef) -> None:
        declared = self.bundle.tools[power.name]
        tool = declared.value
        for index, ref in enumerate(tool.needs):
            self._need(power, ref.power, make_place(declared.source, ("needs", index)))
        for variable, secret in tool.environment.items():
            place = make_place(declared.source, ("environment", variable))
            self._need(power, secret.power, place)
        if tool.plugin is not None:
            plugin = PowerRef.of("plugin", tool.plugin)
            self._need(power, plugin, make_place(declared.source, ("plugin",)))

    def _add_permissions(self, power: PowerRef) -> None:
        declared = self.bundle.plugins[power.name]
        for index, ref in enumerate(declared.value.permissions):
            place = make_place(declared.source, ("permissions", index))
            self._note(ref.power, place)
            self.needs[Need(power, ref.power, is_permission=True)] = None

    def _ask_directly(self, power: PowerRef, group: str, path: tuple[str | int, ...]) -> None:
        self._note(power, self.merged.place_of(path))
        self.direct[power] = self.direct.get(power, False) or group == "required"

    def _need(self, asker: PowerRef, power: PowerRef, place: Place) -> None:
        self._note(power, place)
        self.needs[Need(asker, power)] = None

    def _note(self, power: PowerRef, place: Place) -> None:
        """Remember one more place that asks for a power, and look into new powers later."""
        known = self.places.get(power)
        if known is None:
            _verify_declared(self.bundle, power, place)
            known = self.places[power] = []
            self.queue.append(power)
        if place not in known:
            known.append(place)

    def finish(self) -> AskSheet:
        """The sheet; the grant files' own lines come after those of the askers."""
        grants = _list_grants(self.bundle)
        places = {
            power: (*asked, *(make_place(source, (key,)) for source, key in grants.get(power, ())))
            for power, asked in self.places.items()
        }
        return AskSheet(
            direct=self.direct,
            model=frozenset(self.model),
            needs=tuple(self.needs),
            places=places,
            fallbacks=self.merged.profile.model.fallbacks,
        )


def _verify_declared(bundle: Bundle, power: PowerRef, place: Place) -> None:
    """Check that the bundle declares a power it asks for.

    Raises:
        InvalidManifestError: It does not, or as another kind.
    """
    name: Name = power.name
    if power.kind in ("tool", "plugin"):
        is_known = name in (bundle.tools if power.kind == "tool" else bundle.plugins)
    else:
        grant = bundle.grants.get(name)
        is_known = grant is not None and grant.value.kind == power.kind
    if not is_known:
        raise invalid_manifest(f"{power} is asked for but not declared in the bundle", place)


def _list_grants(bundle: Bundle) -> dict[PowerRef, list[tuple[Source, str]]]:
    """The grant files of each power, with the key that says which power it is."""
    found: dict[PowerRef, list[tuple[Source, str]]] = {}
    for own, (grant, source, _) in bundle.grants.items():
        if grant.kind == "tool":
            name, key = grant.tool, "tool"
        elif grant.kind == "plugin":
            name, key = grant.plugin, "plugin"
        else:
            name, key = own, "kind"
        found.setdefault(PowerRef.of(grant.kind, name), []).append((source, key))
    return found
