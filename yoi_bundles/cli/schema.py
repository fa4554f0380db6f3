"""``yoi-bundles schema``."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from yoi_bundles.cli.extras import verify_server_extra
from yoi_bundles.cli.options import PATH
from yoi_bundles.cli.output import good, print_json, say
from yoi_bundles.errors import InvalidInputError


@click.command("schema")
@click.argument("name", required=False)
@click.option("--write", "directory", type=PATH, help="Write every JSON Schema to this directory.")
@click.option("--openapi", type=PATH, help="Write both OpenAPI documents to this directory.")
def command(*, name: str | None, directory: Path | None, openapi: Path | None) -> None:
    """JSON Schemas of the files of a bundle, OpenAPI of the servers.

    Without arguments: lists the schemas. With NAME: prints that one.
    """
    from yoi_bundles.content.schemas import json_schemas

    schemas = json_schemas()
    if directory is not None:
        _write(directory, schemas)
    if openapi is not None:
        verify_server_extra("schema --openapi")
        _write(openapi, dict(openapi_documents()))
    if directory is not None or openapi is not None:
        return
    if name is None:
        for known in schemas:
            say(known)
        return
    found = schemas.get(name) or schemas.get(f"{name}.json")
    if found is None:
        raise InvalidInputError(f"no schema {name[:60]!a}", hint=", ".join(schemas))
    print_json(found)


def _write(directory: Path, documents: dict[str, dict[str, Any]]) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for name, document in documents.items():
        (directory / name).write_text(
            json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
        )
    say(f"{good('wrote')} {len(documents)} documents to {directory}")


def openapi_documents() -> Iterator[tuple[str, dict[str, Any]]]:
    """File name and OpenAPI 3.1 document of both servers."""
    from yoi_bundles.backend.app import create_app as backend_app
    from yoi_bundles.backend.service import Backend
    from yoi_bundles.runtime.app import create_app as runtime_app
    from yoi_bundles.runtime.service import Runtime

    with tempfile.TemporaryDirectory() as text:
        root = Path(text)
        policy = root / "host-policy.toml"
        policy.write_text("schema = 1\n", encoding="utf-8")
        policy.chmod(0o600)
        with Backend.open(root / "backend") as backend:
            yield "backend.json", backend_app(backend).openapi()
        with Runtime.open(root / "runtime", policy=policy) as runtime:
            yield "runtime.json", runtime_app(runtime).openapi()
