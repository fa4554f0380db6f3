"""A download that goes on where it broke off, and is checked as a whole.

Source: RFC 9110 sections 13.1.5 (If-Range) and 14.4 (Content-Range); RFC 9530 (Repr-Digest).
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable

from httpx2 import Response

from yoi_bundles.errors import TransportError
from yoi_bundles.wire.client.http import HttpClient, QueryItems, capped
from yoi_bundles.wire.messages.runtimes import BUNDLE_MEDIA_TYPE

_SHA256 = re.compile(r"(?:^|,)\s*sha-256=:([A-Za-z0-9+/]{43}=):")


class Download:
    """One bundle file on its way.

    Args:
        write: Takes the bytes as they come, each once.
    """

    def __init__(
        self, http: HttpClient, path: str, query: QueryItems, write: Callable[[bytes], object]
    ) -> None:
        self._http = http
        self._path = path
        self._query = query
        self._write = write
        self._hash = hashlib.sha256()
        self._etag = ""
        self.received_bytes = 0

    def go_on(self) -> None:
        """Fetch what is missing; may be called again after a `TransportError` that is retryable.

        Raises:
            TransportError: It broke off, or what came is not what the server has.
            TooLargeError: It passes the limit of bundle files.
            BundleError: What the server's problem document says.
        """
        headers = {"accept": BUNDLE_MEDIA_TYPE}
        if self.received_bytes:
            headers |= {"range": f"bytes={self.received_bytes}-", "if-range": self._etag}
        with self._http.stream("GET", self._path, query=self._query, headers=headers) as response:
            if self.received_bytes:
                self._verify_resumed(response)
            self._etag = response.headers.get("etag", "")
            left_bytes = self._http.limits.bundle_bytes - self.received_bytes
            for chunk in capped(response.iter_bytes(), left_bytes):
                self.received_bytes += len(chunk)
                self._hash.update(chunk)
                self._write(chunk)
            self._verify_digest(response)

    def _verify_resumed(self, response: Response) -> None:
        begins = response.headers.get("content-range", "")
        if response.status_code != 206 or not begins.startswith(f"bytes {self.received_bytes}-"):
            # What was written cannot be taken back: its receiver begins anew another time.
            raise TransportError(
                "the download broke off, and the server has another file now", retryable=False
            )

    def _verify_digest(self, response: Response) -> None:
        match = _SHA256.search(response.headers.get("repr-digest", ""))
        if match is not None and base64.b64decode(match[1]) != self._hash.digest():
            raise TransportError(
                "what came is not what the server has: its digest is another", retryable=False
            )
