"""Secrets: where the host keeps their values, and the one type a value lives in.

Source: docs/policy.md, "[[secret]]".
"""

from __future__ import annotations

import hmac
import os
import selectors
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NoReturn, final

from yoi_bundles.errors import PolicyDeniedError, StoreError
from yoi_bundles.model.host_policy import SecretRule
from yoi_bundles.model.ids import Name
from yoi_bundles.resolve.matching import Subject, find_secret_rule
from yoi_bundles.runtime.host.trusted_files import (
    FileStamp,
    UntrustedFileError,
    find_stamp,
    is_settled,
    open_regular,
    read_capped,
)

SECRET_BYTES = 64 * 1024
"""A longer value is not one."""

_HIDDEN: Final = "<secret>"
_CHUNK_BYTES = 4096


@final
class SecretValue:
    """A secret's value: it leaves this object through `reveal` and no other way.

    Printing shows a mark; pickling, copying, hashing and serialising fail; comparing takes the same
    time whatever differs.
    """

    __slots__ = ("__text",)

    def __init__(self, text: str) -> None:
        self.__text = text

    def reveal(self) -> str:
        """The value itself; hand it on, never keep or print it."""
        return self.__text

    def __repr__(self) -> str:
        return _HIDDEN

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return _HIDDEN

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SecretValue):
            return NotImplemented
        return hmac.compare_digest(self.__text.encode("utf-8"), other.__text.encode("utf-8"))

    __hash__ = None  # type: ignore[assignment]

    def _refuse(self, *_: object) -> NoReturn:
        raise TypeError("a secret's value cannot be copied or serialised")

    __copy__ = __deepcopy__ = __getstate__ = _refuse
    __reduce__ = __reduce_ex__ = __iter__ = __len__ = _refuse

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: object) -> NoReturn:
        """No model may have a field for it."""
        raise TypeError("a secret's value cannot be a field of a model")


class SecretStore:
    """The ``[[secret]]`` rules of a policy over the sources they name.

    Args:
        rules: In file order; the first that matches is used.
        environment: Variables for ``env`` sources, and what commands get as theirs; the process's
            own if not given.
        timeout_seconds: How long a command may take.
    """

    def __init__(
        self,
        rules: Sequence[SecretRule],
        *,
        environment: Mapping[str, str] | None = None,
        timeout_seconds: float = 10.0,
    ) -> None:
        self._rules = tuple(rules)
        self._environment = os.environ if environment is None else environment
        self._timeout_seconds = timeout_seconds
        self._opened: dict[str, FileStamp] = {}

    def __repr__(self) -> str:
        return f"SecretStore({len(self._rules)} rules)"

    def list_sources(self) -> tuple[bool, ...]:
        """Whether each rule, in file order, has a source on this host; no value is read.

        A variable is set and not empty, a file could be read, a program is on the PATH. A file that
        could be opened is not opened again while it, its mode and its owner are as they were.
        """
        return tuple([self._has_source(rule) for rule in self._rules])

    def read(self, name: Name, subject: Subject) -> SecretValue:
        """The value of a secret for one Worker, from the first rule that gives it.

        Args:
            name: The part after ``secret:``.
            subject: Workspace and profile of the Worker.

        Raises:
            PolicyDeniedError: No rule gives this secret to this workspace and profile.
            StoreError: The source is missing, unsafe, empty, too long or not text; neither path,
                variable nor value is in the message.
        """
        found = find_secret_rule(self._rules, name, subject)
        if found is None:
            raise PolicyDeniedError(
                f"no [[secret]] rule gives secret:{name} to this Worker",
                hint=f'what would grant it: [[secret]] name = "{name}"',
                rule="default-deny",
                power=f"secret:{name}",
            )
        index, rule = found
        text = fault = None
        try:
            text = self._read_source(rule)
        except _SourceError as error:
            fault = str(error)
        if text is None:
            # Raised outside the handler: what went wrong below may know the path.
            raise StoreError(
                f"the source of secret:{name} gives no value: {fault}",
                hint=f"look at secret[{index}] of the host policy",
                rule=f"secret[{index}]",
                power=f"secret:{name}",
            )
        return SecretValue(text)

    def _has_source(self, rule: SecretRule) -> bool:
        if rule.env is not None:
            return bool(self._environment.get(rule.env))
        if rule.command is not None:
            return self._find_program(rule.command[0]) is not None
        return self._can_open(rule.file or "")

    def _can_open(self, file: str) -> bool:
        """Whether a file is one that a secret may be read from, and can be."""
        stamp = find_stamp(file)
        if stamp is not None and self._opened.get(file) == stamp:
            return True
        try:
            os.close(_open_private(Path(file)))
        except _SourceError:
            return False
        if stamp is not None and is_settled(stamp):
            self._opened[file] = stamp
        return True

    def _read_source(self, rule: SecretRule) -> str:
        if rule.env is not None:
            data = self._environment.get(rule.env, "").encode("utf-8", "surrogateescape")
        elif rule.command is not None:
            data = _strip_line_end(self._run(rule.command))
        else:
            data = _strip_line_end(_read_private(Path(rule.file or "")))
        return _decode(data)

    def _find_program(self, program: str) -> str | None:
        return shutil.which(program, path=self._environment.get("PATH", os.defpath))

    def _run(self, command: Sequence[str]) -> bytes:
        """Standard output of a command that ended well, started without a shell."""
        program = self._find_program(command[0])
        if program is None:
            raise _SourceError("its program is not on the PATH")
        try:
            process = subprocess.Popen(
                [program, *command[1:]],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=dict(self._environment),
                start_new_session=True,
            )
        except OSError:
            raise _SourceError("its program cannot be started") from None
        with process:
            try:
                output = _read_output(process, time.monotonic() + self._timeout_seconds)
            except BaseException:
                _kill(process)
                raise
        if process.returncode != 0:
            raise _SourceError(f"its program ended with status {process.returncode}")
        return output


class _SourceError(Exception):
    """Why a source gives no value; never shows more than its text."""


def _read_output(process: subprocess.Popen[bytes], deadline: float) -> bytes:
    """Everything a process writes until it ends, under both caps."""
    output = bytearray()
    stream = process.stdout
    if stream is None:
        raise _SourceError("its program has no output")
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while True:
            if not selector.select(max(0.0, deadline - time.monotonic())):
                raise _SourceError("its program takes too long")
            chunk = os.read(stream.fileno(), _CHUNK_BYTES)
            if not chunk:
                break
            output += chunk
            if len(output) > SECRET_BYTES:
                raise _SourceError(f"it is longer than {SECRET_BYTES} bytes")
    try:
        process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        raise _SourceError("its program takes too long") from None
    return bytes(output)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a program and what it started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        process.kill()


def _open_private(path: Path) -> int:
    """Open a regular file that not everybody may read."""
    try:
        descriptor = open_regular(path)
    except UntrustedFileError as error:
        raise _SourceError(str(error)) from None
    if os.fstat(descriptor).st_mode & (stat.S_IROTH | stat.S_IWOTH):
        os.close(descriptor)
        raise _SourceError("everybody may read or write its file")
    return descriptor


def _read_private(path: Path) -> bytes:
    descriptor = _open_private(path)
    try:
        return read_capped(descriptor, SECRET_BYTES)
    except UntrustedFileError as error:
        raise _SourceError(str(error)) from None


def _strip_line_end(data: bytes) -> bytes:
    return data.removesuffix(b"\n").removesuffix(b"\r")


def _decode(data: bytes) -> str:
    if not data:
        raise _SourceError("it is empty")
    if len(data) > SECRET_BYTES:
        raise _SourceError(f"it is longer than {SECRET_BYTES} bytes")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        # `from None` would still keep the bytes in the context.
        text = ""
    if not text or "\0" in text:
        raise _SourceError("it is not text")
    return text
