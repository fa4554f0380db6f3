"""Assembly: from the merged profile and the decisions to the spec a Worker is built from.

Everything whose order has no meaning is sorted, so that equal inputs give equal bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from yoi_bundles.model.bundle import Bundle
from yoi_bundles.model.declarations import WorkerLimits
from yoi_bundles.model.ids import ModelRef, PromptKey
from yoi_bundles.model.powers import PowerKind, PowerRef, SecretRef
from yoi_bundles.model.request import CreateWorkerRequest
from yoi_bundles.model.spec import (
    Decision,
    Mode,
    ResolvedWorkerSpec,
    SpecEngine,
    SpecGit,
    SpecModel,
    SpecModelEntry,
    SpecMount,
    SpecNetwork,
    SpecPlugin,
    SpecPrompt,
    SpecShell,
    SpecTool,
    SpecWorkflow,
)
from yoi_bundles.model.texts import Action, Surface
from yoi_bundles.resolve.asks import find_model
from yoi_bundles.resolve.decisions import Rulings
from yoi_bundles.resolve.places import invalid_manifest
from yoi_bundles.resolve.profiles import MergedProfile


@dataclass(frozen=True, slots=True)
class Profiled:
    """A bundle with the profile that was picked from it."""

    bundle: Bundle
    merged: MergedProfile


def build_spec(
    source: Profiled,
    *,
    mode: Mode,
    request: CreateWorkerRequest,
    rulings: Rulings,
    host_limits: WorkerLimits,
) -> ResolvedWorkerSpec:
    """Put the spec together from what was granted; refused powers leave no trace in it.

    Args:
        source: The bundle and the merged profile.
        mode: Which kind of tree the bundle is.
        request: Only its intent goes into the spec.
        rulings: The decisions; no required power is refused.
        host_limits: Upper bounds of the host.

    Raises:
        InvalidManifestError: The profile has no engine kind, or a prompt or workflow is missing.
    """
    merged, manifest = source.merged, source.bundle.manifest.value
    granted = _Granted(rulings)
    return ResolvedWorkerSpec(
        mode=mode,
        workspace=manifest.workspace.id,
        bundle=source.bundle.digest,
        profile=merged.name,
        layers=merged.layers,
        description=merged.profile.description,
        intent=request.intent,
        language=manifest.language,
        engine=_build_engine(source),
        model=_build_model(source, rulings.fallbacks),
        scope=merged.profile.scope,
        features=merged.profile.features,
        tools=_build_tools(source.bundle, granted),
        plugins=_build_plugins(source.bundle, granted),
        secrets=tuple(SecretRef(str(d.power)) for d in granted.of("secret")),
        mounts=tuple(
            SpecMount(ref=d.power, mode="rw" if d.granted["mode"] == "rw" else "ro")
            for d in granted.of("mount")
        ),
        network=tuple(
            SpecNetwork(ref=d.power, hosts=_texts(d, "hosts")) for d in granted.of("network")
        ),
        shell=tuple(
            SpecShell(ref=d.power, commands=_texts(d, "commands")) for d in granted.of("shell")
        ),
        git=tuple(
            SpecGit(ref=d.power, operations=_texts(d, "operations")) for d in granted.of("git")
        ),
        capabilities=tuple(d.power for d in granted.of("capability")),
        limits=lower_limits(merged.profile.limits, host_limits),
    )


def lower_limits(profile: WorkerLimits, host: WorkerLimits) -> WorkerLimits:
    """Field by field the smaller of two limits; a limit that only one sets is that one's."""
    lower = {}
    for name in WorkerLimits.model_fields:
        set_ones = [v for v in (getattr(profile, name), getattr(host, name)) if v is not None]
        lower[name] = min(set_ones, default=None)
    return WorkerLimits(**lower)


class _Granted:
    """The decisions that gave something, by kind, in power order."""

    def __init__(self, rulings: Rulings) -> None:
        self._by_kind: dict[PowerKind, list[Decision]] = {}
        for decision in rulings.decisions:
            if decision.outcome != "refused":
                self._by_kind.setdefault(decision.power.kind, []).append(decision)

    def of(self, kind: PowerKind) -> list[Decision]:
        return self._by_kind.get(kind, [])


def _texts(decision: Decision, key: str) -> tuple[str, ...]:
    value = decision.granted[key]
    return (value,) if isinstance(value, str) else value


def _build_engine(source: Profiled) -> SpecEngine:
    engine, place_of = source.merged.profile.engine, source.merged.place_of
    if engine.kind is None:
        raise invalid_manifest(
            f"the profile {source.merged.name} has no engine kind",
            place_of(("engine",)),
            hint='set kind = "tool-loop" in [engine]',
        )
    workflow = _build_workflow(source)
    if engine.kind == "workflow" and workflow is None:
        raise invalid_manifest('kind = "workflow" names no workflow', place_of(("engine", "kind")))
    system = engine.system_prompt
    return SpecEngine(
        kind=engine.kind,
        system_prompt=_build_prompt(source, system, ("engine", "system_prompt"))
        if system is not None
        else None,
        prompts=tuple(
            _build_prompt(source, key, ("engine", "prompts", index))
            for index, key in enumerate(engine.prompts)
        ),
        workflow=workflow,
    )


def _build_prompt(source: Profiled, key: PromptKey, path: tuple[str | int, ...]) -> SpecPrompt:
    declared = source.bundle.prompts.get(key)
    if declared is None:
        raise invalid_manifest(
            f"the prompt {key} is not in the bundle", source.merged.place_of(path)
        )
    return SpecPrompt(key=key, file=declared.source.file, blob=declared.source.blob)


def _build_workflow(source: Profiled) -> SpecWorkflow | None:
    name = source.merged.profile.engine.workflow
    if name is None:
        return None
    declared = source.bundle.workflows.get(name)
    if declared is None:
        raise invalid_manifest(
            f"the workflow {name} is not in the bundle",
            source.merged.place_of(("engine", "workflow")),
        )
    return SpecWorkflow(
        name=name,
        workflow=declared.value,
        file=declared.source.file,
        blob=declared.source.blob,
    )


def _build_model(source: Profiled, fallbacks: tuple[ModelRef, ...]) -> SpecModel:
    choice = source.merged.profile.model
    # collect_asks has proven that the main model is set and every model is in the bundle.
    ref = cast("ModelRef", choice.ref)
    main = _build_model_entry(source.bundle, ref)
    found = find_model(source.bundle, ref)
    bound = found[1].max_output_tokens if found else None
    return SpecModel(
        ref=main.ref,
        provider_kind=main.provider_kind,
        upstream=main.upstream,
        endpoint=main.endpoint,
        credential=main.credential,
        temperature=choice.temperature,
        max_output_tokens=_lower(choice.max_output_tokens, bound),
        reasoning=choice.reasoning,
        fallbacks=tuple(_build_model_entry(source.bundle, other) for other in fallbacks),
    )


def _lower(wanted: int | None, bound: int | None) -> int | None:
    return wanted if wanted is None or bound is None else min(wanted, bound)


def _build_model_entry(bundle: Bundle, ref: ModelRef) -> SpecModelEntry:
    provider = bundle.providers[ref.provider].value
    return SpecModelEntry(
        ref=ref,
        provider_kind=provider.kind,
        upstream=provider.models[ref.model].upstream,
        endpoint=provider.endpoint,
        credential=provider.credential,
    )


def _build_tools(bundle: Bundle, granted: _Granted) -> tuple[SpecTool, ...]:
    built = []
    for decision in granted.of("tool"):
        name = decision.power.name
        tool = bundle.tools[name].value
        built.append(
            SpecTool(
                name=name,
                kind=tool.kind,
                description=tool.description,
                action=cast("Action", decision.granted["action"]),
                external_write=tool.external_write,
                input_schema=tool.input_schema,
                builtin=(tool.builtin or name) if tool.kind == "builtin" else None,
                command=tool.command,
                arguments=tool.arguments,
                environment=tool.environment,
                plugin=tool.plugin,
            )
        )
    return tuple(built)


def _build_plugins(bundle: Bundle, granted: _Granted) -> tuple[SpecPlugin, ...]:
    built = []
    for decision in granted.of("plugin"):
        plugin = bundle.plugins[decision.power.name].value
        built.append(
            SpecPlugin(
                name=decision.power.name,
                package=plugin.package,
                version=plugin.version,
                digest=plugin.digest,
                size_bytes=plugin.size_bytes,
                surfaces=cast("tuple[Surface, ...]", _texts(decision, "surfaces")),
                permissions=_list_permissions(decision),
            )
        )
    return tuple(built)


def _list_permissions(decision: Decision) -> tuple[PowerRef, ...]:
    return tuple(PowerRef(text) for text in _texts(decision, "permissions"))
