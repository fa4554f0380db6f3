"""The capped HTTP client: bounded bodies and times, typed errors, retries where they are safe."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from string import punctuation
from typing import TypeVar
from urllib.parse import quote, urlencode

import httpx2
import stamina
from pydantic import ValidationError

from yoi_bundles.errors import BundleError, InvalidInputError, TooLargeError, TransportError
from yoi_bundles.model.limits import DEFAULT_LIMITS, MIB
from yoi_bundles.model.record import Message
from yoi_bundles.wire.messages.problems import decode_problem

M = TypeVar("M", bound=Message)
T = TypeVar("T")

_PATH = punctuation.replace("?", "").replace("#", "")
"""What stands for itself in a path, or is looked at by the library."""
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "::1", "localhost"})
QueryItems = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class ClientLimits:
    """Bounds of one client."""

    connect_seconds: float = 5.0
    read_seconds: float = 60.0
    json_bytes: int = 64 * MIB
    bundle_bytes: int = DEFAULT_LIMITS.bundle_bytes
    attempts: int = 4
    retry_seconds: float = 20.0


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers and whole body of an answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def parse_answer(answer: Answer, reply: type[M]) -> M:
    """The JSON value in an answer's body.

    Raises:
        TransportError: The body is none of this type; asking again would not help.
    """
    try:
        return reply.model_validate_json(answer.body)
    except ValidationError as error:
        raise TransportError(
            f"the server's answer is not a {reply.__name__}: "
            f"{error.error_count()} fields are wrong",
            retryable=False,
            hint="do both sides run the same version?",
        ) from None


class HttpClient:
    """One server, one credential.

    Args:
        base_url: Scheme, host and port.
        token: Bearer token, or what gives the one of the moment, or None.
        limits: Bounds; passing one is an error, never a truncation.
        ca_file: Certificates to trust instead of the system's.
    """

    def __init__(
        self,
        base_url: str,
        token: str | Callable[[], str] | None,
        *,
        limits: ClientLimits | None = None,
        ca_file: str | None = None,
    ) -> None:
        try:
            url = httpx2.URL(base_url)
        except httpx2.InvalidURL:
            raise InvalidInputError("the server's address is not a URL") from None
        if url.scheme not in {"http", "https"} or not url.host:
            raise InvalidInputError(
                "the server's address is not an http(s) URL",
                hint="for example http://127.0.0.1:8470",
            )
        if url.userinfo:
            raise InvalidInputError("no userinfo in the server's address", hint="use a token file")
        self._token = token
        self._authorization()
        self.limits = limits or ClientLimits()
        self._client = httpx2.Client(
            base_url=url,
            timeout=httpx2.Timeout(self.limits.read_seconds, connect=self.limits.connect_seconds),
            verify=url.scheme == "https" and _trusting(ca_file),
            trust_env=url.host not in LOOPBACK_HOSTS,
            follow_redirects=False,
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _authorization(self) -> dict[str, str]:
        token = self._token() if callable(self._token) else self._token
        if token is None:
            return {}
        if not (token.isascii() and token.isprintable()):
            raise InvalidInputError("the token cannot stand in a header: only printable ASCII can")
        return {"authorization": f"Bearer {token}"}

    def get(self, path: str, reply: type[M], query: QueryItems = ()) -> M:
        """GET a JSON value; retried.

        Raises:
            BundleError: What the server's problem document says.
            TransportError: The server could not be reached or did not answer as agreed.
            TooLargeError: The answer passes a limit.
        """
        return self.retried(lambda: self.call("GET", path, reply, query=query))

    def post(self, path: str, body: Message | None, reply: type[M]) -> M:
        """POST a JSON value; not retried, as the server may have acted.

        Raises:
            BundleError: As `get`.
        """
        return self.call("POST", path, reply, body=body)

    def call(
        self,
        method: str,
        path: str,
        reply: type[M],
        *,
        query: QueryItems = (),
        body: Message | None = None,
    ) -> M:
        """One request with a JSON answer, once.

        Raises:
            BundleError: As `get`.
        """
        content = None if body is None else body.model_dump_json(by_alias=True).encode()
        return parse_answer(self.request(method, path, query=query, content=content), reply)

    def request(
        self,
        method: str,
        path: str,
        *,
        query: QueryItems = (),
        content: bytes | Iterator[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request, once, with its whole answer.

        Raises:
            BundleError: As `get`.
        """
        sent = {"content-type": "application/json"} if isinstance(content, bytes) else {}
        with self.stream(
            method, path, query=query, content=content, headers={**sent, **(headers or {})}
        ) as response:
            body = b"".join(capped(response.iter_bytes(), self.limits.json_bytes))
            return Answer(response.status_code, dict(response.headers), body)

    @contextmanager
    def stream(
        self,
        method: str,
        path: str,
        *,
        query: QueryItems = (),
        content: bytes | Iterator[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[httpx2.Response]:
        """One request whose answer's body the caller reads; errors are raised before that.

        Raises:
            BundleError: As `get`.
        """
        with (
            translated(method, path),
            self._client.stream(
                method,
                self._url(path, query),
                content=content,
                headers={**self._authorization(), **(headers or {})},
            ) as response,
        ):
            if response.status_code >= 300 and response.status_code != 304:
                raise self._error(response)
            yield response

    def _url(self, path: str, query: QueryItems) -> httpx2.URL:
        # The library would parse it three times, which is two fifths of what a request takes here.
        target = quote(path.removeprefix("/"), safe=_PATH)
        if query:
            target += f"?{urlencode(query)}"
        base = self._client.base_url
        return base.copy_with(raw_path=base.raw_path + target.encode("ascii"))

    def _error(self, response: httpx2.Response) -> BundleError:
        body = b"".join(capped(response.iter_bytes(), MIB))
        try:
            document = json.loads(body)
        except ValueError:
            document = None
        error = decode_problem(document, status=response.status_code)
        wait = response.headers.get("retry-after", "")
        if wait.isdecimal() and len(wait) < 10:
            error.facts["retry_after_seconds"] = int(wait)
        return error

    def retried(self, work: Callable[[], T]) -> T:
        """Do idempotent work until it succeeds or fails for good.

        Raises:
            BundleError: The last failure.
        """
        for attempt in stamina.retry_context(
            on=self._backoff,
            attempts=self.limits.attempts,
            timeout=self.limits.retry_seconds,
            wait_initial=0.1,
            wait_max=2.0,
        ):
            with attempt:
                return work()
        raise TransportError("no attempt was made")

    def _backoff(self, error: Exception) -> bool | float:
        """Whether to try again, or in how many seconds if the server said so."""
        if not isinstance(error, TransportError) or not is_retryable(error):
            return False
        wait_seconds = error.facts.get("retry_after_seconds")
        if not isinstance(wait_seconds, int):
            return True
        return wait_seconds <= self.limits.retry_seconds and max(0.0, float(wait_seconds))


def is_retryable(error: Exception) -> bool:
    """Whether the same idempotent call may succeed later."""
    return isinstance(error, TransportError) and error.retryable


def capped(chunks: Iterator[bytes], limit_bytes: int) -> Iterator[bytes]:
    """Pass chunks on until there are too many bytes.

    Raises:
        TooLargeError: More than ``limit_bytes``.
    """
    total = 0
    for chunk in chunks:
        total += len(chunk)
        if total > limit_bytes:
            raise TooLargeError(
                f"the answer is larger than {limit_bytes} bytes",
                limit=limit_bytes,
                limit_name="answer_bytes",
            )
        yield chunk


@contextmanager
def translated(method: str, path: str) -> Iterator[None]:
    """Turn the library's errors into ours, also while a body is read."""
    try:
        yield
    except httpx2.TimeoutException as error:
        raise TransportError(f"{method} {path}: the server did not answer in time") from error
    except httpx2.ConnectError as error:
        if _is_untrusted(error):
            raise TransportError(
                f"{method} {path}: the server's certificate is not trusted",
                hint="--ca-file names the certificates to trust",
                retryable=False,
            ) from error
        raise TransportError(
            f"{method} {path}: no connection to the server", hint="is it running at this address?"
        ) from error
    except (httpx2.HTTPError, httpx2.StreamError) as error:
        raise TransportError(f"{method} {path}: {type(error).__name__}") from error
    except RuntimeError as error:
        # What the library raises when another thread closed the client meanwhile.
        raise TransportError(f"{method} {path}: the client was closed", retryable=False) from error


def _is_untrusted(error: BaseException | None) -> bool:
    """Whether a certificate is behind a connection that failed; the library wraps its cause."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _trusting(ca_file: str | None) -> ssl.SSLContext:
    """What is trusted of a server; made for https alone, as reading certificates takes 20 ms."""
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError:
        raise InvalidInputError("the file of trusted certificates cannot be read") from None
