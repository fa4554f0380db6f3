"""What every model of this project shares: frozen, closed, strict about its keys."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from yoi_bundles.model.record import build_records


class Model(BaseModel):
    """A frozen value; unknown keys are errors, names are used as written."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        validate_default=True,
        hide_input_in_errors=True,
        ser_json_bytes="utf8",
        # Schemas are built when a model is first used: a command touches few of them.
        defer_build=True,
    )


def build_models() -> None:
    """Build the schemas of all models now: a server does so at its start, not in a request."""
    build_records()
    waiting: list[type[BaseModel]] = [Model]
    while waiting:
        model = waiting.pop()
        waiting.extend(model.__subclasses__())
        model.model_config["defer_build"] = False
        model.model_rebuild()
