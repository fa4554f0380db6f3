"""What the package gives without loading all of itself."""

import subprocess
import sys
from importlib import import_module

import pytest

from yoi_bundles import store


def test_every_name_comes_from_the_module_that_has_it():
    assert set(store._MODULES) == set(store.__all__)
    for name, module in store._MODULES.items():
        found = getattr(import_module(f"yoi_bundles.store.{module}"), name)
        assert getattr(store, name) is found


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Hammer'"):
        store.Hammer  # noqa: B018


def test_a_name_loads_its_module_and_what_that_uses_alone():
    script = (
        "import sys, yoi_bundles.store; from yoi_bundles.store import create_data_directory;"
        "print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    loaded = done.stdout.split()
    assert "yoi_bundles.store.disk.layout" in loaded
    assert "yoi_bundles.store.repository" not in loaded
    assert not [name for name in loaded if name.startswith("dulwich")]
