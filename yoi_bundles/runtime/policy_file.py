"""The host policy file: read once, believed only if nobody but the operator can have written it.

Source: docs/policy.md, "The file".
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import re
import threading
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from yoi_bundles.content.toml_lines import index_lines
from yoi_bundles.errors import InvalidHostPolicyError
from yoi_bundles.model.bundle import KeyPath
from yoi_bundles.model.declarations import WorkerLimits
from yoi_bundles.model.host_policy import (
    BundleRules,
    CapabilityRule,
    HostLimits,
    HostPolicy,
    HostToolRule,
    MountRule,
    NetworkRule,
    PluginRule,
    SecretRule,
    TrustRules,
)
from yoi_bundles.model.ids import ContentHash
from yoi_bundles.model.limits import DEFAULT_LIMITS, Limits
from yoi_bundles.runtime.trusted_files import UntrustedFileError, open_trusted, read_capped

POLICY_BYTES = 1024 * 1024
"""A longer policy file is not read."""

_PROBLEMS_SHOWN = 20
_LINE = re.compile(r"at line (\d+)")
_SECTIONS: Mapping[str, type[BaseModel]] = {
    "bundles": BundleRules,
    "trust": TrustRules,
    "limits": HostLimits,
    "capabilities": CapabilityRule,
    "network": NetworkRule,
    "mount": MountRule,
    "secret": SecretRule,
    "plugin": PluginRule,
    "tool": HostToolRule,
}


@dataclass(frozen=True, slots=True)
class LoadedPolicy:
    """A host policy as it was read.

    Args:
        policy: The rules.
        digest: SHA-256 of the file's bytes, what ``sha256sum`` prints.
        path: Where it was read; stays on this host.
    """

    policy: HostPolicy = field(repr=False)
    digest: ContentHash
    path: Path = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Problem:
    """One thing wrong with the file."""

    path: KeyPath
    message: str
    hint: str | None = None
    is_missing: bool = False


def load_host_policy(path: Path, *, state_directory: Path) -> LoadedPolicy:
    """Read a host policy that only its operator can have written.

    Args:
        path: The file; a symbolic link at its end is refused.
        state_directory: Where this Runtime keeps what it received; the file must lie outside.

    Raises:
        InvalidHostPolicyError: The file is unsafe, unreadable, longer than `POLICY_BYTES` or
            wrong; ``problems`` lists line, key and message of each mistake. No value of the file
            and no directory is in it.
    """
    data = _read_safely(path, state_directory)
    policy = parse_host_policy(data, file=path.name)
    _verify_not_mounted(policy, path)
    digest = ContentHash("sha256:" + hashlib.sha256(data).hexdigest())
    return LoadedPolicy(policy, digest, path)


def parse_host_policy(data: bytes, *, file: str = "policy") -> HostPolicy:
    """Turn the bytes of a policy file into rules.

    Args:
        data: TOML in UTF-8.
        file: Name of the file, for messages.

    Raises:
        InvalidHostPolicyError: The bytes are not TOML or not a host policy.
    """
    fault, line = "", None
    table: dict[str, Any] = {}
    text = ""
    try:
        text = data.decode("utf-8").replace("\r\n", "\n")
        table = tomllib.loads(text)
    except UnicodeDecodeError as error:
        fault, line = "it is not UTF-8", data[: error.start].count(b"\n") + 1
    except tomllib.TOMLDecodeError as error:
        found = _LINE.search(str(error))
        fault, line = f"it is not TOML: {error}", int(found.group(1)) if found else None
    except RecursionError:
        fault = "it is nested too deeply"
    if fault:
        raise InvalidHostPolicyError(f"{_place(file, line)}: {fault}", file=file, line=line)
    problems = []
    policy = None
    try:
        policy = HostPolicy.model_validate(table)
        problems = _list_limit_problems(policy)
    except ValidationError as error:
        problems = [_explain(e["loc"], e["type"], e["msg"]) for e in _errors_of(error)]
    if problems or policy is None:
        raise _wrong(problems, _index(text), file)
    return policy


def receive_limits(policy: HostPolicy) -> Limits:
    """The limits of receiving: the defaults with what ``[limits.receive]`` sets.

    Raises:
        InvalidHostPolicyError: A key is no limit of this version.
    """
    problems = _list_limit_problems(policy)
    if problems:
        raise _wrong(problems, {}, "policy")
    return dataclasses.replace(DEFAULT_LIMITS, **policy.limits.receive)


class PolicyHolder:
    """The policy in force, and how the last attempt to replace it went.

    Args:
        path: The policy file.
        state_directory: As for `load_host_policy`.

    Raises:
        InvalidHostPolicyError: The first reading fails: a Runtime does not start without rules.
    """

    def __init__(self, path: Path, *, state_directory: Path) -> None:
        self._path = path
        self._state_directory = state_directory
        self._lock = threading.Lock()
        self._current = load_host_policy(path, state_directory=state_directory)
        self._last_error: InvalidHostPolicyError | None = None

    @property
    def current(self) -> LoadedPolicy:
        """The rules in force; take it once per request."""
        return self._current

    @property
    def last_error(self) -> InvalidHostPolicyError | None:
        """Why the last reload left the old rules in force; None if it did not."""
        return self._last_error

    def reload(self) -> LoadedPolicy:
        """Read the file again; a broken one leaves the old rules in force.

        Returns:
            The rules in force afterwards; `last_error` tells which they are.
        """
        with self._lock:
            try:
                self._current = load_host_policy(self._path, state_directory=self._state_directory)
                self._last_error = None
            except InvalidHostPolicyError as error:
                self._last_error = error
            return self._current


def _read_safely(path: Path, state_directory: Path) -> bytes:
    """The file's bytes, if file, directories and place are safe."""
    fault, data = None, b""
    try:
        data = read_capped(open_trusted(path), POLICY_BYTES)
    except UntrustedFileError as error:
        fault = str(error)
    fault = fault or _find_place_fault(path, state_directory)
    if fault is not None:
        raise InvalidHostPolicyError(
            f"the host policy {path.name} is not safe: {fault}",
            hint="a file of the operator's or root's, mode 0644 or less, in directories only they "
            "may write to, outside the state directory and every workspace",
            file=path.name,
        )
    return data


def _find_place_fault(path: Path, state_directory: Path) -> str | None:
    real = path.resolve()
    if real.is_relative_to(state_directory.resolve()):
        return "it lies in the state directory"
    for parent in real.parents:
        if parent.name == ".git" or _is_bare_repository(parent):
            return "it lies in a git repository"
        if (parent / "bundle.toml").is_file():
            return "it lies in a workspace, and would be published with it"
    return None


def _is_bare_repository(directory: Path) -> bool:
    return (
        (directory / "HEAD").is_file()
        and (directory / "objects").is_dir()
        and (directory / "refs").is_dir()
    )


def _verify_not_mounted(policy: HostPolicy, path: Path) -> None:
    """Check that no Worker is given the policy itself to write."""
    real = path.resolve()
    for index, rule in enumerate(policy.mount):
        if rule.mode == "rw" and real.is_relative_to(Path(rule.path).resolve()):
            raise InvalidHostPolicyError(
                f"mount[{index}] lets Workers write the directory of {path.name} itself",
                hint="keep the policy outside everything that is mounted for writing",
                file=path.name,
                rule=f"mount[{index}]",
            )


def _errors_of(error: ValidationError) -> Sequence[Any]:
    return error.errors(include_url=False, include_input=False, include_context=False)


def _explain(path: KeyPath, kind: str, message: str) -> _Problem:
    """One pydantic error, with the nearest known keys for an unknown one."""
    text = message.removeprefix("Value error, ")
    if kind != "extra_forbidden":
        return _Problem(path, text, is_missing=kind == "missing")
    return _Problem(path, "unknown key", _near(str(path[-1]), _list_keys(path[:-1])))


def _list_keys(section: KeyPath) -> Iterable[str]:
    """The keys that a section may have."""
    model: type[BaseModel] = HostPolicy
    if section:
        model = _SECTIONS[str(section[0])]
    if section[:2] == ("limits", "worker"):
        model = WorkerLimits
    return [info.alias or name for name, info in model.model_fields.items()]


def _list_limit_problems(policy: HostPolicy) -> list[_Problem]:
    known = [entry.name for entry in dataclasses.fields(Limits)]
    return [
        _Problem(("limits", "receive", key), "unknown limit", _near(key, known))
        for key in policy.limits.receive
        if key not in known
    ]


def _near(word: str, known: Iterable[str]) -> str:
    options = sorted(known)
    near = difflib.get_close_matches(word, options, n=2)
    return f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(options)}"


def _index(text: str) -> Mapping[KeyPath, int]:
    try:
        return index_lines(text)
    except RecursionError:
        return {}


def _wrong(
    problems: Sequence[_Problem], lines: Mapping[KeyPath, int], file: str
) -> InvalidHostPolicyError:
    # A value that fits none of several types is reported once for each of them, and an array
    # whose entries are wrong once more as too short.
    paths = [problem.path for problem in problems]
    by_key = {
        _dotted(_written_path(lines, problem)): problem
        for problem in reversed(problems)
        if not any(_is_below(path, problem.path) for path in paths)
    }
    listed: list[dict[str, str | int | bool | None]] = [
        {
            "line": _line_of(lines, problem.path),
            "key": key,
            "message": problem.message,
            "hint": problem.hint,
        }
        for key, problem in reversed(by_key.items())
    ]
    first = listed[0]
    line = first["line"]
    where = _place(file, line if isinstance(line, int) else None)
    more = f" (and {len(listed) - 1} more)" if len(listed) > 1 else ""
    return InvalidHostPolicyError(
        f"{where}: {first['key']}: {first['message']}{more}",
        hint=str(first["hint"]) if first["hint"] else None,
        file=file,
        line=line,
        problems=listed[:_PROBLEMS_SHOWN],
    )


def _is_below(path: KeyPath, above: KeyPath) -> bool:
    return len(path) > len(above) and path[: len(above)] == above


def _written_path(lines: Mapping[KeyPath, int], problem: _Problem) -> KeyPath:
    """The path as far as it is written in the file: pydantic adds names of its own types."""
    path = problem.path
    if problem.is_missing or not lines:
        return path
    while path and path not in lines:
        path = path[:-1]
    return path


def _line_of(lines: Mapping[KeyPath, int], path: KeyPath) -> int | None:
    """Line of a key, or of the nearest table around it."""
    for end in range(len(path), 0, -1):
        if path[:end] in lines:
            return lines[path[:end]]
    return lines.get(())


def _dotted(path: KeyPath) -> str:
    """``secret[2].env``: rules are spelled as in decisions."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def _place(file: str, line: int | None) -> str:
    return file if line is None else f"{file}:{line}"
