"""Runs the examples of a document as a reader would type them.

Three kinds of block are followed, in the order of the document, in one shell and one empty
directory:

- a block ``console``: lines that begin with ``$ `` are commands, ``>`` goes on with one, anything
  else is what is shown. ``…`` in a shown line stands for any text, a line ``…`` for any lines.
  What a command prints is compared only if the document shows something.
- a block ``sh`` below the comment ``<!-- run -->``: run whole; every command must succeed.
- any block below the comment ``<!-- file NAME -->``: written into a file of that name.

A command that ends with ``&`` is a server: it gets a free port instead of the one that is named,
and the next command waits until it says where it listens. A later file is written with that port
too. A command must succeed unless the next one is ``echo $?``.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from markdown import ROOT, Block, blocks

COMMAND_SECONDS = 60
SENTINEL = "--docs-command-done--"


class Console:
    """A shell in an empty directory, with `yoi-bundles` on its PATH and nothing configured."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._ports: dict[str, str] = {}
        self._announcing: list[int] = []
        (root / "home").mkdir()
        here = root / "here"
        here.mkdir()
        (here / ".venv").symlink_to(Path(sys.executable).parents[1])
        (here / "fixtures").symlink_to(ROOT / "fixtures")
        self._shell = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=here,
            env={
                "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
                "HOME": str(root / "home"),
                "LANG": "C.UTF-8",
                "USER": "reader",
                "NO_COLOR": "1",
                "PYTHONUNBUFFERED": "1",
                "GIT_CONFIG_NOSYSTEM": "1",
                "YOI_BUNDLES_DATA": str(root / "data"),
                "YOI_BUNDLES_AUTHOR": "Ada <ada@example.org>",
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.killpg(self._shell.pid, signal.SIGTERM)  # a session of our own: nothing else is in it
        self._shell.kill()
        self._shell.communicate()
        for descriptor in self._announcing:
            os.close(descriptor)

    def run(self, command: str, *, before: int = 0) -> tuple[int, str]:
        """Run a command; its exit code and all it printed."""
        if command.rstrip().endswith("&"):
            return 0, self._start(command.rstrip().removesuffix("&"))
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        script = self._with_real_ports(command)
        self._shell.stdin.write(
            f"{{ (exit {before})\n{script}\n}} </dev/null\nprintf '\\n%s %s\\n' {SENTINEL} $?\n"
        )
        self._shell.stdin.flush()
        printed: list[str] = []
        watchdog = threading.Timer(COMMAND_SECONDS, self._shell.kill)
        watchdog.start()
        try:
            for line in self._shell.stdout:
                if line.startswith(SENTINEL):
                    text = "".join(printed).removesuffix("\n")
                    return int(line.split()[1]), self._with_shown_ports(text)
                printed.append(line)
        finally:
            watchdog.cancel()
        raise AssertionError(f"the shell ended or took too long: {command}\n{''.join(printed)}")

    def write(self, name: str, text: str) -> None:
        """Make a file as a reader does: in the directory of the shell, which is its first."""
        (self._root / "here" / name).write_text(self._with_real_ports(text) + "\n", "utf-8")

    def _start(self, command: str) -> str:
        name = f"server-{len(self._announcing)}"
        announced = self._root / f"{name}.out"
        os.mkfifo(announced)
        port = re.search(r"--port (\d+)", command)
        assert port is not None, f"a server in a document names its port: {command}"
        free = command.replace(port[0], "--port 0")
        says_it, other = ("2", "1") if command.startswith("uvicorn ") else ("1", "2")
        code, printed = self.run(
            f"{free} {says_it}>{announced} {other}>{self._root}/{name}.err &\n:"
        )
        assert code == 0, printed
        descriptor = os.open(announced, os.O_RDONLY)
        self._announcing.append(descriptor)
        line, found = "", None
        while found is None:
            read = os.read(descriptor, 4096).decode()
            line += read
            found = re.search(r"(?:listening|running) on \S+:(\d+)", line)
            errors = (self._root / f"{name}.err").read_text()
            assert read, f"{command}\n{line}{errors}"
        self._ports[port[1]] = found[1]
        return self._with_shown_ports(line)

    def _with_real_ports(self, text: str) -> str:
        for shown, real in self._ports.items():
            text = text.replace(f"127.0.0.1:{shown}", f"127.0.0.1:{real}")
        return text

    def _with_shown_ports(self, text: str) -> str:
        for shown, real in self._ports.items():
            text = text.replace(f"127.0.0.1:{real}", f"127.0.0.1:{shown}")
        return text


def runnable(text: str) -> list[Block]:
    """The blocks of a document that are run, or written into files."""
    return [
        block
        for block in blocks(text)
        if block.info == "console" or block.file or (block.info == "sh" and block.is_marked)
    ]


def steps(block: Block) -> list[tuple[str, str]]:
    """Command and shown output of every step of a block."""
    if block.info == "sh":
        return [(f"set -e\n{block.text}\nset +e", "")]
    found: list[tuple[list[str], list[str]]] = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            found.append(([line[2:]], []))
        elif line.startswith(">") and found and not found[-1][1]:
            found[-1][0].append(line[1:].removeprefix(" "))
        else:
            assert found, f"line {block.line}: a console block begins with a command"
            found[-1][1].append(line)
    return [("\n".join(command), "\n".join(shown)) for command, shown in found]


def matches(shown: str, printed: str) -> bool:
    """Whether what was printed is what the document shows."""
    pattern = ""
    for line in shown.strip().splitlines():
        if line.strip() == "…":
            pattern += r"(?:.*\n)*?"
        else:
            pattern += "[^\n]*".join(re.escape(part) for part in line.rstrip().split("…")) + r"\n"
    lines = [line.rstrip() for line in printed.strip().splitlines()]
    return re.fullmatch(pattern, "\n".join(lines) + "\n") is not None


def play(text: str, root: Path) -> int:
    """Run all examples of a document; how many commands that were.

    Raises:
        AssertionError: One did not do what the document shows.
    """
    count = 0
    with Console(root) as console:
        for block in runnable(text):
            if block.file is not None:
                console.write(block.file, block.text)
                continue
            todo, code = steps(block), 0
            for index, (command, shown) in enumerate(todo):
                code, printed = console.run(command, before=code)
                count += 1
                is_asked = index + 1 < len(todo) and todo[index + 1][0] == "echo $?"
                where = f"line {block.line}: $ {command}\n{printed}"
                assert code == 0 or is_asked, f"exit code {code}, {where}"
                assert not shown or matches(shown, printed), f"shown was\n{shown}\n\n{where}"
    return count
