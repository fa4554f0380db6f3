"""The text of a host policy: bytes to rules, or every mistake with line, key and hint.

Source: docs/policy.md, "Sections".
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
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
from yoi_bundles.model.limits import DEFAULT_LIMITS, Limits
from yoi_bundles.model.request_limits import RequestLimits

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
class _Problem:
    """One thing wrong with the file."""

    path: KeyPath
    message: str
    hint: str | None = None
    is_missing: bool = False


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
    return DEFAULT_LIMITS._replace(**policy.limits.receive)


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
    if section[:2] == ("limits", "requests"):
        model = RequestLimits
    return [info.alias or name for name, info in model.model_fields.items()]


def _list_limit_problems(policy: HostPolicy) -> list[_Problem]:
    known = Limits._fields
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
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{_shown_key(part)}" if text else _shown_key(part)
    return text


def _shown_key(key: str) -> str:
    """A key as it may stand in a message: one in quotes may hold what steers a terminal."""
    return key if key.isprintable() else ascii(key)[1:-1]


def _place(file: str, line: int | None) -> str:
    return file if line is None else f"{file}:{line}"
