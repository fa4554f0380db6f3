"""All targets, by name."""

from fuzz.target import Target
from fuzz.targets import commits, containers, messages, texts, trees

TARGETS: dict[str, Target] = {
    target.name: target
    for module in (containers, trees, commits, texts, messages)
    for target in module.TARGETS
}
