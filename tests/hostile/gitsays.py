"""What real git makes of a bundle file: verify, fetch, fsck, in a repository that is thrown away.

``git fetch FILE`` of git 2.39 does not apply ``fsckObjects``, so the objects are fetched first and
judged by ``git fsck --full --strict`` afterwards, as an operator would.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from builder import Upload, World

_ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "LC_ALL": "C",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_COUNT": "4",
    "GIT_CONFIG_KEY_0": "gc.auto",
    "GIT_CONFIG_VALUE_0": "0",
    "GIT_CONFIG_KEY_1": "fetch.unpackLimit",
    "GIT_CONFIG_VALUE_1": "1",
    "GIT_CONFIG_KEY_2": "core.fsync",
    "GIT_CONFIG_VALUE_2": "none",
    "GIT_CONFIG_KEY_3": "pack.threads",
    "GIT_CONFIG_VALUE_3": "1",
}
_PATIENCE_SECONDS = 20
_ID = re.compile(r"[0-9a-f]{40,64}")
_NOISE = re.compile(r"^(error|fatal|warning|hint): ")
_FSCK = re.compile(r"^(?:error|warning) in \w+ [0-9a-f]+: (\w+)", re.MULTILINE)


def run(root: Path, *arguments: str) -> tuple[bool, str]:
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=root,
            env=_ENVIRONMENT,
            capture_output=True,
            check=False,
            timeout=_PATIENCE_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return False, "no answer in time"
    return done.returncode == 0, (done.stderr + done.stdout).decode("utf-8", "replace")


def git_version() -> tuple[int, ...]:
    text = subprocess.run(["git", "--version"], capture_output=True, check=True).stdout.decode()
    found = re.search(r"(\d+)\.(\d+)", text)
    assert found
    return int(found[1]), int(found[2])


def make_template(root: Path, world: World) -> Path:
    """A bare SHA-256 repository with what the receiver holds."""
    assert run(root.parent, "init", "-q", "--bare", "--object-format=sha256", str(root))[0]
    for step, upload in enumerate(world.setup()):
        path = root.parent / f"setup{step}.bundle"
        path.write_bytes(upload.raw)
        done, text = run(root, "fetch", "-q", str(path), "refs/heads/main:refs/heads/main")
        assert done, text
    assert run(root, "fsck", "--full", "--strict")[0]
    return root


def make_templates(root: Path, world: World) -> dict[bool, Path]:
    """What a case is put to, by whether it is for a receiver that holds nothing."""
    nobody = root / "nobody.git"
    assert run(root, "init", "-q", "--bare", "--object-format=sha256", str(nobody))[0]
    return {False: make_template(root / "template.git", world), True: nobody}


def short(text: str) -> str:
    """The first complaint, without ids and paths."""
    lines = [line for line in text.splitlines() if line.strip()] or ["no reason given"]
    line = next((one for one in lines if _NOISE.match(one)), lines[0])
    line = re.sub(r"/\S+", "FILE", _ID.sub("ID", _NOISE.sub("", line)))
    printable = "".join(c if c.isprintable() and c not in "\"\\'" else "?" for c in line)
    return printable if len(printable) <= 60 else printable[:57] + "..."


def ask_git(template: Path, work: Path, upload: Upload) -> str:
    """``accepts``, or ``refuses <step>: <why>``."""
    file, root = work / "case.bundle", work / "case.git"
    file.write_bytes(upload.raw)
    shutil.copytree(template, root)
    try:
        return _ask(root, file)
    finally:
        shutil.rmtree(root)
        file.unlink()


def _ask(root: Path, file: Path) -> str:
    done, text = run(root, "bundle", "verify", "-q", str(file))
    if not done:
        return f"refuses verify: {short(text)}"
    done, text = run(root, "fetch", "-q", "--no-tags", str(file), "refs/*:refs/incoming/*")
    if not done:
        return f"refuses fetch: {short(text)}"
    if not (root / "refs" / "incoming").is_dir():
        return "refuses fetch: no ref that can be fetched"
    done, text = run(root, "fsck", "--full", "--strict")
    complaint = _FSCK.search(text)
    if done and complaint is None:
        return "accepts"
    return f"refuses fsck: {complaint[1] if complaint else short(text)}"


def verdict_of(says: str) -> str:
    """The part that is compared: the answer and the step that gave it."""
    return says.partition(":")[0]
