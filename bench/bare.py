"""``python -m bench.bare``: an application that answers 304 and nothing else, as a floor."""

from __future__ import annotations

import socket
from typing import Any

import uvicorn


async def answer(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """An ASGI application."""
    await receive()
    await send({"type": "http.response.start", "status": 304, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def main() -> None:
    """Serve on a free port of this host, which is printed, until a signal comes."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen(128)
        print(f"listening on http://127.0.0.1:{sock.getsockname()[1]}", flush=True)
        config = uvicorn.Config(answer, lifespan="off", log_level="warning", access_log=False)
        uvicorn.Server(config).run(sockets=[sock])


if __name__ == "__main__":
    main()
