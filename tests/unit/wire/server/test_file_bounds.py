"""How many files a server lets itself open; in a process of its own, as it changes that one."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """\
import resource, sys
soft, hard, wanted = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
from yoi_bundles.wire.server.serving import allow_files
allow_files(wanted)
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(
    ("soft", "hard", "wanted", "then"),
    [(100, 900, 500, 500), (100, 300, 500, 300), (600, 900, 500, 600)],
    ids=["raised", "as-far-as-allowed", "never-lowered"],
)
def test_a_server_opens_as_many_files_as_it_needs_and_may(soft, hard, wanted, then):
    numbers = [str(number) for number in (soft, hard, wanted)]
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, *numbers], capture_output=True, text=True, check=True
    )

    assert ran.stdout.split() == [str(then), str(hard)]
