"""Decisions: the verdicts on all powers of a Worker together, and what refusals pull along.

A tool falls with a power it needs; what only a fallen tool asked for is not given either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from yoi_bundles.errors import Fact, PolicyDeniedError
from yoi_bundles.model.bundle import Bundle
from yoi_bundles.model.ids import ModelRef
from yoi_bundles.model.powers import PowerRef
from yoi_bundles.model.request import CreateWorkerRequest
from yoi_bundles.model.spec import Decision
from yoi_bundles.resolve.asks import Asker, AskSheet, Need, scope_asks
from yoi_bundles.resolve.verdicts import (
    HostView,
    Verdict,
    decide_alone,
    list_plugin_permissions,
)

_HINTS_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Rulings:
    """All decisions of one resolution.

    Args:
        decisions: In power order.
        fallbacks: Fallback models that may be called, in their order.
        hints: What would grant each refused required power.
    """

    decisions: tuple[Decision, ...]
    fallbacks: tuple[ModelRef, ...]
    hints: tuple[str, ...]


def rule_powers(
    bundle: Bundle, sheet: AskSheet, request: CreateWorkerRequest, view: HostView
) -> Rulings:
    """Decide every power that profile or request ask for, and list which fallback models remain.

    Effective power = asked by the profile, granted by the host, within the request.
    """
    asks = scope_asks(sheet, request)
    verdicts = {ask.power: decide_alone(bundle, ask, view) for ask in asks}
    _refuse_dependents(bundle, sheet.needs, verdicts)
    needs = _list_live_needs(bundle, sheet, verdicts)
    _refuse_unreached(sheet, needs, verdicts, {ask.power for ask in asks if ask.is_required})
    _narrow_permissions(bundle, verdicts)
    decisions = tuple(
        _make_decision(verdicts[ask.power], ask.power, ask.is_required, sheet) for ask in asks
    )
    hints = [
        hint
        for ask in asks
        if ask.is_required and verdicts[ask.power].is_refused
        if (hint := verdicts[ask.power].hint) is not None
    ]
    return Rulings(
        decisions=decisions,
        fallbacks=tuple(ref for ref in sheet.fallbacks if _has_all(ref, sheet.needs, verdicts)),
        hints=tuple(dict.fromkeys(hints)),
    )


def verify_required(rulings: Rulings) -> None:
    """Check that no required power was refused.

    Raises:
        PolicyDeniedError: At least one was; ``refusals`` names every one of them at once.
    """
    refused = [d for d in rulings.decisions if d.required and d.outcome == "refused"]
    if not refused:
        return
    facts: list[dict[str, str | int | bool | None]] = [_describe(d) for d in refused]
    refusals: Fact = facts
    count = f"{len(refused)} required power{'s were' if len(refused) > 1 else ' was'} refused"
    raise PolicyDeniedError(
        f"{count}: {', '.join(str(decision.power) for decision in refused)}",
        hint="what would grant: " + "; ".join(rulings.hints[:_HINTS_SHOWN])
        if rulings.hints
        else None,
        refusals=refusals,
    )


def _describe(decision: Decision) -> dict[str, str | int | bool | None]:
    place = decision.asked_by[0] if decision.asked_by else None
    return {
        "power": str(decision.power),
        "rule": decision.rule,
        "reason": decision.reason,
        "file": str(place.file) if place else None,
        "line": place.line if place else None,
    }


def _make_decision(
    verdict: Verdict, power: PowerRef, is_required: bool, sheet: AskSheet
) -> Decision:
    return Decision(
        power=power,
        required=is_required,
        outcome=verdict.outcome,
        rule=verdict.rule,
        reason=verdict.reason,
        asked_by=sheet.places.get(power, ()),
        asked=verdict.asked,
        granted=verdict.granted,
    )


def _refuse_dependents(
    bundle: Bundle, needs: Sequence[Need], verdicts: dict[PowerRef, Verdict]
) -> None:
    """Refuse every tool that lacks a power it needs, until nothing changes."""
    has_changed = True
    while has_changed:
        has_changed = False
        for need in needs:
            asker = need.asker
            if need.is_permission or isinstance(asker, ModelRef) or verdicts[asker].is_refused:
                continue
            fault = _find_fault(bundle, asker, need.power, verdicts[need.power])
            if fault is not None:
                verdicts[asker] = _follow(verdicts[asker], verdicts[need.power], fault)
                has_changed = True


def _find_fault(bundle: Bundle, asker: PowerRef, power: PowerRef, verdict: Verdict) -> str | None:
    """Why a tool cannot work with this verdict on a power it needs, or None."""
    if verdict.is_refused:
        return f"it needs {power}, which is refused"
    if power.kind != "plugin" or bundle.tools[asker.name].value.plugin != power.name:
        return None
    if "tool" in verdict.granted.get("surfaces", ()):
        return None
    return f"{power} may not register tools here"


def _follow(verdict: Verdict, cause: Verdict, reason: str) -> Verdict:
    """A refusal that follows from another one, under the same rule."""
    hint = None if cause.is_refused else '[[plugin]] surfaces = ["tool"]'
    return replace(
        verdict, outcome="refused", rule=cause.rule, reason=reason, granted={}, hint=hint
    )


def _has_all(asker: Asker, needs: Sequence[Need], verdicts: dict[PowerRef, Verdict]) -> bool:
    return all(not verdicts[need.power].is_refused for need in needs if need.asker == asker)


def _list_live_needs(
    bundle: Bundle, sheet: AskSheet, verdicts: dict[PowerRef, Verdict]
) -> list[Need]:
    """Needs whose asker may still ask: granted tools, usable fallbacks, permitted permissions."""
    live_models = {ref for ref in sheet.fallbacks if _has_all(ref, sheet.needs, verdicts)}
    live = []
    for need in sheet.needs:
        asker = need.asker
        if isinstance(asker, ModelRef):
            is_live = asker in live_models
        elif need.is_permission:
            plugin = bundle.plugins[asker.name].value
            is_live = need.power in list_plugin_permissions(plugin, verdicts[asker])
        else:
            is_live = not verdicts[asker].is_refused
        if is_live:
            live.append(need)
    return live


def _refuse_unreached(
    sheet: AskSheet,
    needs: Sequence[Need],
    verdicts: dict[PowerRef, Verdict],
    required: set[PowerRef],
) -> None:
    """Refuse what only refused tools, plugins and fallback models asked for."""
    # With a required asker refused there will be no Worker: its other needs are not to blame.
    kept = {n.power for n in sheet.needs if n.asker in required and not n.is_permission}
    reached = _list_reached(sheet, needs) | kept
    for power, verdict in verdicts.items():
        if power in reached or verdict.is_refused:
            continue
        cause = _find_cause(power, sheet, verdicts)
        reason = "only what was refused asks for it"
        verdicts[power] = replace(
            verdict, outcome="refused", rule=cause, reason=reason, granted={}, hint=None
        )


def _list_reached(sheet: AskSheet, needs: Sequence[Need]) -> set[Asker]:
    """What the profile asks for itself, and what that needs in turn."""
    by_asker: dict[Asker, list[PowerRef]] = {}
    for need in needs:
        by_asker.setdefault(need.asker, []).append(need.power)
    reached: set[Asker] = set()
    queue: list[Asker] = [*sheet.direct, *sheet.fallbacks]
    while queue:
        asker = queue.pop()
        if asker not in reached:
            reached.add(asker)
            queue.extend(by_asker.get(asker, ()))
    return reached


def _find_cause(power: PowerRef, sheet: AskSheet, verdicts: dict[PowerRef, Verdict]) -> str:
    """The rule under which the first asker of a power was refused or narrowed."""
    for need in sheet.needs:
        if need.power != power:
            continue
        if isinstance(need.asker, PowerRef):
            return verdicts[need.asker].rule
        lacking = [
            verdicts[other.power].rule
            for other in sheet.needs
            if other.asker == need.asker and verdicts[other.power].is_refused
        ]
        if lacking:
            return lacking[0]
    return "default-deny"


def _narrow_permissions(bundle: Bundle, verdicts: dict[PowerRef, Verdict]) -> None:
    """Take permissions from plugins that the Worker itself was not given."""
    for power, verdict in verdicts.items():
        if power.kind != "plugin" or verdict.is_refused:
            continue
        wanted = list_plugin_permissions(bundle.plugins[power.name].value, verdict)
        given = tuple(sorted(str(ref) for ref in wanted if not verdicts[ref].is_refused))
        if given != verdict.granted["permissions"]:
            verdicts[power] = replace(
                verdict,
                outcome="narrowed",
                reason="the host allows part of it",
                granted={**verdict.granted, "permissions": given},
            )
