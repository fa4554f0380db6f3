"""git over HTTP as an operator would run it: nginx, fcgiwrap and git-http-backend, from Debian."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

from bench.cpu import ServerProcess

BACKEND = Path("/usr/lib/git-core/git-http-backend")
WORKERS = 2
_START_SECONDS = 10

_CONFIG = """\
daemon off;
user root;
pid {root}/nginx.pid;
error_log {root}/error.log;
worker_processes {workers};
events {{ worker_connections 1024; }}
http {{
  access_log off;
  sendfile on;
  types {{ }}
  client_body_temp_path {root}/body;
  fastcgi_temp_path {root}/fastcgi;
  proxy_temp_path {root}/proxy;
  uwsgi_temp_path {root}/uwsgi;
  scgi_temp_path {root}/scgi;
  server {{
    listen 127.0.0.1:{port};
    location ~ ^/git(/.*)$ {{
      fastcgi_pass unix:{root}/fcgi.sock;
      fastcgi_param SCRIPT_FILENAME {backend};
      fastcgi_param GIT_HTTP_EXPORT_ALL 1;
      fastcgi_param GIT_PROJECT_ROOT {repositories};
      fastcgi_param PATH_INFO $1;
      fastcgi_param QUERY_STRING $query_string;
      fastcgi_param REQUEST_METHOD $request_method;
      fastcgi_param CONTENT_TYPE $content_type;
      fastcgi_param CONTENT_LENGTH $content_length;
      fastcgi_param HTTP_GIT_PROTOCOL $http_git_protocol;
      fastcgi_param HTTP_CONTENT_ENCODING $http_content_encoding;
    }}
    location /files/ {{ alias {files}/; }}
  }}
}}
"""


PACKAGES = ("nginx-light", "fcgiwrap")
"""Of Debian; git-http-backend comes with git."""


def install_missing() -> None:
    """Install what this peer needs, as root on a Debian; else say what to install.

    Raises:
        SystemExit: Something is missing still.
    """
    if find_missing() and os.geteuid() == 0 and shutil.which("apt-get"):
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *PACKAGES]
        for command in (["apt-get", "update", "-q"], install):
            done = subprocess.run(
                command, env=environment, stdout=sys.stderr, stdin=subprocess.DEVNULL, check=False
            )
            if done.returncode != 0:
                break
    missing = find_missing()
    if missing:
        sys.exit(f"git over HTTP needs {', '.join(missing)}: apt-get install {' '.join(PACKAGES)}")


def find_missing() -> list[str]:
    """What this peer needs and the machine lacks."""
    found = {"nginx": shutil.which("nginx"), "fcgiwrap": shutil.which("fcgiwrap")}
    missing = [name for name, path in found.items() if path is None]
    return missing + ([] if BACKEND.exists() else ["git-http-backend"])


class GitWeb:
    """nginx and fcgiwrap on a free loopback port until `close`.

    Args:
        root: Empty directory for sockets and temporary files.
        repositories: Directory of bare repositories, served below ``/git/``.
    """

    def __init__(self, root: Path, repositories: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        files = root / "files"
        files.mkdir()
        port = free_port()
        config = root / "nginx.conf"
        config.write_text(
            _CONFIG.format(
                root=root, port=port, workers=WORKERS, backend=BACKEND,
                repositories=repositories, files=files,
            )
        )  # fmt: skip
        self.files = files
        self.url = f"http://127.0.0.1:{port}"
        fcgi = ["fcgiwrap", "-c", str(WORKERS), "-s", f"unix:{root}/fcgi.sock"]
        nginx = ["nginx", "-p", str(root), "-c", str(config), "-e", str(root / "error.log")]
        self.servers = [
            ServerProcess(fcgi, "fcgiwrap", stderr=subprocess.DEVNULL),
            ServerProcess(nginx, "nginx", stderr=subprocess.DEVNULL),
        ]
        try:
            wait_for_port(port)
            _wait_for_file(root / "fcgi.sock")
        except BaseException:
            self.close()
            raise

    @property
    def sees_all(self) -> bool:
        """Whether `cpu_seconds` is all there is."""
        return all(server.sees_all for server in self.servers)

    def cpu_seconds(self) -> float:
        """Of nginx, fcgiwrap and every git they started."""
        return sum(server.cpu_seconds() for server in self.servers)

    def close(self) -> None:
        """End both servers."""
        for server in self.servers:
            server.stop()


def free_port() -> int:
    """A port of this host that nobody listens on now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def wait_for_port(port: int) -> None:
    """Until somebody listens there.

    Raises:
        RuntimeError: Nobody did in time.
    """
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise RuntimeError(f"nobody listens on port {port}")


def _wait_for_file(path: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not path.exists():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{path.name} was not made")
        time.sleep(0.02)
