"""Steps of a workflow: who does them, in which order, without a circle.

Source: docs/format.md, "Workflows".
"""

from __future__ import annotations

from collections.abc import Iterator

from yoi_bundles.content.assemble import Declarations
from yoi_bundles.content.findings import INVALID, finding_at, near_hint, shown_file
from yoi_bundles.content.references import named
from yoi_bundles.model.bundle import Source
from yoi_bundles.model.declarations import WorkflowDefinition
from yoi_bundles.model.finding import Finding


def find_workflow_faults(declarations: Declarations) -> Iterator[Finding]:
    """Faults of all workflows, and prose that belongs to none."""
    for declared in declarations.workflows.values():
        if isinstance(declared.value, WorkflowDefinition):
            yield from _find_step_faults(declared.value, declared.source, declarations)
            yield from _find_order_faults(declared.value, declared.source)
    for name, path in declarations.files["workflow-text"].items():
        if not declarations.has("workflow", name):
            hint = near_hint(name, declarations.names("workflow"), what="workflows")
            message = f"prose without its workflow: there is no workflows/{name}.toml"
            yield Finding(file=shown_file(path), code=INVALID, message=message, hint=hint)


def _find_step_faults(
    workflow: WorkflowDefinition, source: Source, declarations: Declarations
) -> Iterator[Finding]:
    for index, step in enumerate(workflow.steps):
        at = ("steps", index)
        if step.profile is not None:
            yield from named(declarations, "profile", step.profile, source, (*at, "profile"))
            profile = declarations.profiles.get(str(step.profile))
            if profile is not None and profile.value.abstract:
                message = f"the profile `{step.profile}` is abstract"
                yield finding_at(source, (*at, "profile"), message)
        if step.prompt is not None:
            yield from named(declarations, "prompt", step.prompt, source, (*at, "prompt"))


def _find_order_faults(workflow: WorkflowDefinition, source: Source) -> Iterator[Finding]:
    known = {str(step.id) for step in workflow.steps}
    seen: set[str] = set()
    is_sound = True
    for index, step in enumerate(workflow.steps):
        if str(step.id) in seen:
            is_sound = False
            yield finding_at(source, ("steps", index, "id"), f"a second step `{step.id}`")
        seen.add(str(step.id))
        for place, name in enumerate(step.after):
            if str(name) not in known:
                is_sound = False
                hint = near_hint(str(name), known, what="steps")
                path = ("steps", index, "after", place)
                yield finding_at(source, path, f"no step `{name}`", hint=hint)
    if is_sound:
        yield from _find_circle(workflow, source)


def _find_circle(workflow: WorkflowDefinition, source: Source) -> Iterator[Finding]:
    """One finding at each step that can never start because it waits, at last, for itself."""
    waiting = {str(step.id): {str(name) for name in step.after} for step in workflow.steps}
    while True:
        ready = {name for name, after in waiting.items() if not after & waiting.keys()}
        if not ready:
            break
        for name in ready:
            del waiting[name]
    for index, step in enumerate(workflow.steps):
        if str(step.id) in waiting:
            message = f"the step `{step.id}` waits for itself"
            yield finding_at(source, ("steps", index, "after"), message)
