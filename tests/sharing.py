"""A plugin: with several workers, each gets the next test, and what is made once is made once.

``pytest -n 2`` gives a worker the next test that is left, in the random order of the run. A fixture
that lives longer than one test would then be made by every worker that meets it, and it lives
longer because it takes long: so the tests of a file that has one go to one worker together. Such
files come first, in a random order too: one that came last would leave the other worker idle.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path

import pytest

_LASTING = re.compile(r'@pytest\.fixture\(scope="(?!function)\w+"[^)]*\)\s+def (\w+)')


@functools.cache
def stays_together(file: Path) -> bool:
    """Whether a test file has a fixture that outlives a test, or names one of a conftest."""
    text = file.read_text("utf-8")
    if _LASTING.search(text):
        return True
    conftests = [parent / "conftest.py" for parent in file.parents]
    lasting = [
        name
        for conftest in conftests
        if conftest.is_file()
        for name in _LASTING.findall(conftest.read_text("utf-8"))
    ]
    return any(re.search(rf"\b{name}\b", text) for name in lasting)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Bring files that stay together to the front, in a worker; all else stays as it was mixed."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: not stays_together(item.path))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """One test at a time where nothing is shared, a whole file where something is."""
    if config.getvalue("dist") != "load":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class Sharing(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return file if stays_together(config.rootpath / file) else nodeid

    config.option.loadscopereorder = False  # the order is a random one
    return Sharing(config, log)
