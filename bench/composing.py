"""What else composes a configuration of layers: JSON, OmegaConf, Hydra, rjsonnet.

Each gets the tables of the same three profiles as files in its own format, and must come to the
same table. None of them decides anything about it: that is ours alone, and in our figure.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

Table = Mapping[str, Any]
Compose = Callable[[], dict[str, Any]]

MODULES = {"JSON": "json", "OmegaConf": "omegaconf", "Hydra": "hydra", "rjsonnet": "rjsonnet"}


def make_peers(root: Path, layers: Sequence[Table]) -> tuple[dict[str, Compose], set[str]]:
    """Peers by name, ready to be timed, and the names of those that are not installed.

    Args:
        root: Empty directory for their files.
        layers: The tables to merge, base first.
    """
    makers = {
        "JSON": _json_peer,
        "OmegaConf": _omegaconf_peer,
        "Hydra": _hydra_peer,
        "rjsonnet": _rjsonnet_peer,
    }
    here = {name for name, module in MODULES.items() if find_spec(module) is not None}
    return {name: makers[name](root, layers) for name in makers if name in here}, {*makers} - here


def merge(below: Table, above: Table) -> dict[str, Any]:
    """Tables deep, anything else replaced."""
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        if isinstance(value, dict) and isinstance(old, dict):
            merged[key] = merge(old, value)
        else:
            merged[key] = value
    return merged


def _json_peer(root: Path, layers: Sequence[Table]) -> Compose:
    # From memory, as a program would keep them: the least that anybody can do.
    texts = [json.dumps(layer) for layer in layers]

    def compose() -> dict[str, Any]:
        merged: dict[str, Any] = {}
        for text in texts:
            merged = merge(merged, json.loads(text))
        return merged

    return compose


def _omegaconf_peer(root: Path, layers: Sequence[Table]) -> Compose:
    from omegaconf import OmegaConf

    paths = [root / f"omega-{number}.yaml" for number in range(len(layers))]
    for path, layer in zip(paths, layers, strict=True):
        OmegaConf.save(OmegaConf.create(dict(layer)), path)

    def compose() -> dict[str, Any]:
        merged = OmegaConf.merge(*(OmegaConf.load(path) for path in paths))
        return cast("dict[str, Any]", OmegaConf.to_container(merged, resolve=True))

    return compose


def _hydra_peer(root: Path, layers: Sequence[Table]) -> Compose:
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from omegaconf import OmegaConf

    directory = root / "hydra"
    directory.mkdir()
    for number, layer in enumerate(layers):
        defaults = "" if number == 0 else f"defaults:\n  - layer-{number - 1}\n  - _self_\n"
        text = defaults + OmegaConf.to_yaml(OmegaConf.create(dict(layer)))
        (directory / f"layer-{number}.yaml").write_text(text)

    def compose() -> dict[str, Any]:
        with initialize_config_dir(config_dir=str(directory), version_base="1.3"):
            composed = hydra_compose(config_name=f"layer-{len(layers) - 1}")
        return cast("dict[str, Any]", OmegaConf.to_container(composed, resolve=True))

    return compose


def _rjsonnet_peer(root: Path, layers: Sequence[Table]) -> Compose:
    import rjsonnet

    # mergePatch merges as we do: objects deep, arrays replaced.
    program = json.dumps(layers[0])
    for layer in layers[1:]:
        program = f"std.mergePatch({program}, {json.dumps(layer)})"

    def compose() -> dict[str, Any]:
        return cast("dict[str, Any]", json.loads(rjsonnet.evaluate_snippet("layers", program)))

    return compose
