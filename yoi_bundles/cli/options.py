"""Options that several commands share, and what they open."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from yoi_bundles.errors import InvalidInputError

if TYPE_CHECKING:
    from yoi_bundles.backend.service import Backend
    from yoi_bundles.cli.ports import BackendPort, PublishingPort, RuntimePort
    from yoi_bundles.runtime.service import Runtime
    from yoi_bundles.wire.client.http import HttpClient
    from yoi_bundles.wire.server.serving import ConnectionKind

F = TypeVar("F", bound=Callable[..., Any])

PATH = click.Path(path_type=Path)
FILE = click.Path(path_type=Path, dir_okay=False)


def json_option(function: F) -> F:
    """``--json``."""
    return click.option("--json", "is_json", is_flag=True, help="Print JSON for machines.")(
        function
    )


def data_option(function: F) -> F:
    """``--data``: given to the command as ``data``."""
    return click.option(
        "--data",
        type=PATH,
        envvar="YOI_BUNDLES_DATA",
        show_envvar=True,
        callback=lambda ctx, param, value: value or default_data(),
        help="Data directory  [default: the XDG data directory]",
    )(function)


def default_data() -> Path:
    """Where data is kept if nobody says otherwise.

    Raises:
        InvalidInputError: Nobody does, and the user of this process has no home.
    """
    directory = _user_path("user_data_path")
    if directory is None:
        raise InvalidInputError(
            "there is no home directory to keep data in", hint="name a directory: --data"
        )
    return directory


def _user_path(kind: str) -> Path | None:
    """A directory of this user; None without a home, as for a number without a name."""
    import platformdirs

    try:
        directory = Path(getattr(platformdirs, kind)("yoi-bundles"))
    except RuntimeError:
        return None
    # Older versions answer with a `~` that nothing stands for.
    return directory if directory.is_absolute() else None


def config_file(name: str) -> Path | None:
    """A configuration file in the user's or the machine's directory, if there is one."""
    for directory in (_user_path("user_config_path"), Path("/etc/yoi-bundles")):
        if directory is not None and (directory / name).is_file():
            return directory / name
    return None


@contextmanager
def values_from_options() -> Iterator[None]:
    """Turn what a model says of the value of an option into an error of ours.

    Raises:
        InvalidInputError: With the field and the rule; never with the value.
    """
    try:
        yield
    except ValueError as error:
        from pydantic import ValidationError

        if not isinstance(error, ValidationError):
            raise
        first = error.errors(include_input=False, include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise InvalidInputError(f"{field}: {first['msg'].removeprefix('Value error, ')}") from None


class Remote(NamedTuple):
    """A server to talk to instead of the local data directory."""

    url: str
    token_file: Path | None
    ca_file: Path | None

    def connect(self) -> HttpClient:
        """A client with the token of the file, as it is each time, or of ``YOI_BUNDLES_TOKEN``.

        Raises:
            InvalidInputError: The token file cannot be used.
        """
        import stamina.instrumentation

        from yoi_bundles.cli.service_manager import is_service_credential
        from yoi_bundles.wire.client.http import HttpClient
        from yoi_bundles.wire.client.token_files import TokenFile

        # A retry is nothing to print: standard output belongs to what was asked for.
        stamina.instrumentation.set_on_retry_hooks([])
        token: str | TokenFile | None = os.environ.get("YOI_BUNDLES_TOKEN")
        if self.token_file is not None:
            token = TokenFile(
                self.token_file, is_group_trusted=is_service_credential(self.token_file)
            )
        ca_file = None if self.ca_file is None else str(self.ca_file)
        return HttpClient(self.url, token, ca_file=ca_file)


def _remote_options(flag: str, envvar: str, what: str) -> Callable[[F], F]:
    def decorate(function: F) -> F:
        @click.option(flag, "url", metavar="URL", envvar=envvar, show_envvar=True, help=what)
        @click.option(
            "--token-file",
            type=FILE,
            envvar="YOI_BUNDLES_TOKEN_FILE",
            show_envvar=True,
            help="File with the bearer token (or set YOI_BUNDLES_TOKEN).",
        )
        @click.option("--ca-file", type=FILE, help="Certificates to trust.")
        @functools.wraps(function)
        def wrapped(
            *args: Any,  # noqa: ANN401
            url: str | None,
            token_file: Path | None,
            ca_file: Path | None,
            **kwargs: Any,  # noqa: ANN401
        ) -> Any:  # noqa: ANN401
            remote = None if url is None else Remote(url, token_file, ca_file)
            return function(*args, remote=remote, **kwargs)

        return wrapped  # type: ignore[return-value]

    return decorate


backend_options = _remote_options(
    "--backend", "YOI_BUNDLES_BACKEND", "Talk to this Backend instead of the data directory."
)
runtime_options = _remote_options(
    "--runtime", "YOI_BUNDLES_RUNTIME", "Talk to this Runtime instead of the data directory."
)


def visibility_option(function: F) -> F:
    """``--visibility``: the policy file, or None."""
    return click.option(
        "--visibility",
        type=FILE,
        envvar="YOI_BUNDLES_VISIBILITY",
        show_envvar=True,
        callback=lambda ctx, param, value: value or config_file("visibility.toml"),
        help="Visibility policy: which Runtimes may have which workspaces (default: none).",
    )(function)


def policy_option(function: F) -> F:
    """``--policy``: the host policy file, or None."""
    return click.option(
        "--policy",
        type=FILE,
        envvar="YOI_BUNDLES_POLICY",
        show_envvar=True,
        callback=lambda ctx, param, value: value or config_file("host-policy.toml"),
        help="Host policy file; it lies outside the data directory.",
    )(function)


def listen_options(function: F) -> F:
    """Where a server listens, given to the command as ``listen``."""

    @click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
    @click.option("--port", default=0, help="Port; 0 takes a free one.", show_default=True)
    @click.option("--tls-cert", type=FILE, help="Certificate chain (PEM).")
    @click.option("--tls-key", type=FILE, help="Private key (PEM).")
    @click.option(
        "--insecure", is_flag=True, help="Allow another address than loopback without TLS."
    )
    @click.option(
        "--connections",
        type=click.Choice(["parking", "quick", "bounded"]),
        default="parking",
        show_default=True,
        help="Layers of a connection: leave out small waits, or answers at once too, if one is "
        "suspected of a fault. All answer alike.",
    )
    @functools.wraps(function)
    def wrapped(
        *args: Any,  # noqa: ANN401
        host: str,
        port: int,
        tls_cert: Path | None,
        tls_key: Path | None,
        insecure: bool,
        connections: ConnectionKind,
        **kwargs: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        from yoi_bundles.wire.server.serving import Listen

        listen = Listen(host, port, tls_cert, tls_key, insecure, connections)
        return function(*args, listen=listen, **kwargs)

    return wrapped  # type: ignore[return-value]


def request_options(function: F) -> F:
    """Bounds of each caller of a Backend, given to the command as ``request_limits``."""

    @click.option(
        "--requests-per-second", type=float, help="Of one token, on average.  [default: 100]"
    )
    @click.option("--burst-requests", type=int, help="Of one token, at once.  [default: 400]")
    @click.option(
        "--concurrent-requests", type=int, help="Of one token, not yet answered.  [default: 64]"
    )
    @functools.wraps(function)
    def wrapped(
        *args: Any,  # noqa: ANN401
        requests_per_second: float | None,
        burst_requests: int | None,
        concurrent_requests: int | None,
        **kwargs: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        from yoi_bundles.model.request_limits import RequestLimits

        given = {
            "requests_per_second": requests_per_second,
            "burst_requests": burst_requests,
            "concurrent_requests": concurrent_requests,
        }
        with values_from_options():
            limits = RequestLimits.model_validate(
                {name: value for name, value in given.items() if value is not None}
            )
        return function(*args, request_limits=limits, **kwargs)

    return wrapped  # type: ignore[return-value]


def runtime_ca_option(function: F) -> F:
    """``--runtime-ca-file``: certificates to trust when a Backend calls Runtimes."""
    return click.option(
        "--runtime-ca-file",
        type=FILE,
        envvar="YOI_BUNDLES_RUNTIME_CA_FILE",
        show_envvar=True,
        help="Certificates to trust when Runtimes are pushed to.",
    )(function)


def open_backend(
    data: Path,
    visibility: Path | None = None,
    runtime_ca_file: Path | None = None,
    *,
    bundle_cache_bytes: int | None = None,
) -> Backend:
    """The Backend in a data directory.

    Raises:
        BundleError: See `Backend.open`.
    """
    from yoi_bundles.backend.service import Backend

    return Backend.open(
        data / "backend",
        visibility=visibility,
        runtime_ca_file=runtime_ca_file,
        bundle_cache_bytes=bundle_cache_bytes,
    )


def open_runtime(data: Path, policy: Path | None, runtime_id: str = "local") -> Runtime:
    """The Runtime in a data directory.

    Raises:
        InvalidInputError: There is no host policy file.
        BundleError: See `Runtime.open`.
    """
    from yoi_bundles.runtime.service import Runtime

    if policy is None:
        raise InvalidInputError(
            "a Runtime needs a host policy file",
            hint="--policy FILE, YOI_BUNDLES_POLICY, or host-policy.toml in the configuration "
            "directory; docs/policy.md shows one",
        )
    return Runtime.open(data / "runtime", policy=policy, runtime_id=runtime_id)


def publishing_port(data: Path, remote: Remote | None) -> PublishingPort:
    """The workspaces a command talks to; without a registry, as that takes half a second to load.

    Raises:
        BundleError: They cannot be opened.
    """
    if remote is not None:
        return backend_port(data, remote)
    from yoi_bundles.backend.publishing.publishing import open_publishing
    from yoi_bundles.cli.ports import LocalPublishing

    publishing, repositories = open_publishing(data / "backend", is_brief=True)
    return LocalPublishing(publishing, repositories.close)


def backend_port(
    data: Path,
    remote: Remote | None,
    visibility: Path | None = None,
    runtime_ca_file: Path | None = None,
) -> BackendPort:
    """The Backend that a command talks to: over HTTP, or in the data directory.

    Raises:
        BundleError: It cannot be opened.
    """
    from yoi_bundles.cli.ports import LocalBackend

    if remote is None:
        return LocalBackend(open_backend(data, visibility, runtime_ca_file))
    from yoi_bundles.wire.client.backend_client import BackendClient

    return BackendClient(remote.connect())


def runtime_port(data: Path, remote: Remote | None, policy: Path | None) -> RuntimePort:
    """The Runtime that a command talks to: over HTTP, or in the data directory.

    Raises:
        BundleError: It cannot be opened.
    """
    if remote is None:
        return open_runtime(data, policy)
    from yoi_bundles.wire.client.runtime_client import RuntimeClient

    return RuntimeClient(remote.connect())
