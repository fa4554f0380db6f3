"""``python -m tools.site``: the pages of the API, and the site of all documents, in build/site.

What stands in docs/ and at the top is copied beside pages made of docstrings; links that leave
docs/ are turned to where their pages are then. A link to what is no page ends the build.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).parents[1]
PAGES, SITE = ROOT / "build" / "site-pages", ROOT / "build" / "site"
TOP = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "RELEASE.md", "CHANGELOG.md")
_TITLED = re.compile(r"^```(\w+) (\S[^\n]*)$", re.MULTILINE)
"""A block of code and the file that it is, as our documents write it."""
_LINK = re.compile(r"(\]\()([^)\s#]+)([^)]*\))")


def main() -> None:
    """Write the pages, build the site, look at its links.

    Raises:
        SystemExit: The site cannot be built, or a link leads nowhere.
    """
    from tools.api_pages import write_pages

    for directory in (PAGES, SITE):
        shutil.rmtree(directory, ignore_errors=True)
    collect_pages(PAGES)
    write_pages(PAGES / "api")
    zensical = Path(sys.executable).parent / "zensical"
    done = subprocess.run([zensical, "build", "--clean"], cwd=ROOT, check=False)
    if done.returncode != 0:
        sys.exit(done.returncode)
    dead = [f"{page}: {link}" for page, link in find_dead_links(SITE)]
    if dead:
        sys.exit("links that lead nowhere:\n" + "\n".join(dead))
    print(f"built {len(list(SITE.rglob('*.html')))} pages in {SITE.relative_to(ROOT)}")


def collect_pages(pages: Path) -> None:
    """Copy every document to where the site has it, with links that lead there."""
    shutil.copytree(ROOT / "docs", pages)
    for name in TOP:
        shutil.copy(ROOT / name, pages / ("index.md" if name == "README.md" else name))
    places = {ROOT / "docs" / path.relative_to(pages): path for path in pages.rglob("*")}
    places |= {ROOT / name: pages / name for name in TOP} | {ROOT / "README.md": pages / "index.md"}
    sources = {page: source for source, page in places.items()}
    for page in pages.rglob("*.md"):
        text = _turn_links(page.read_text("utf-8"), page, sources[page], places)
        page.write_text(_TITLED.sub(r'```\1 title="\2"', text), "utf-8")


def _turn_links(text: str, page: Path, source: Path, places: dict[Path, Path]) -> str:
    def turned(match: re.Match[str]) -> str:
        target = (source.parent / match[2]).resolve()
        if "://" in match[2] or not target.exists():
            return match[0]
        place = places.get(target)
        if place is None:
            # No page, such as a program: it is named, and the repository has it.
            return f"{match[1]}#{match[3].lstrip('#')}" if match[3].startswith("#") else "](#)"
        return f"{match[1]}{_relative(place, page.parent)}{match[3]}"

    return _LINK.sub(turned, text)


def _relative(place: Path, start: Path) -> str:
    up = 0
    while not place.is_relative_to(start):
        start, up = start.parent, up + 1
    return "../" * up + place.relative_to(start).as_posix()


class _Links(HTMLParser):
    """Every link of a page, and every name in it that a link may have."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.names: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take note of one."""
        found = dict(attrs)
        self.names.update(filter(None, (found.get("id"), found.get("name"))))
        if tag == "a" and found.get("href"):
            self.links.append(str(found["href"]))


def find_dead_links(site: Path) -> Iterator[tuple[str, str]]:
    """Links between pages of a site that lead to no page, or to no heading of it."""
    read: dict[Path, _Links] = {}
    for page in sorted(site.rglob("*.html")):
        read[page] = _Links()
        read[page].feed(page.read_text("utf-8"))
    for page, found in read.items():
        if page.name == "404.html":
            continue
        for link in found.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or link == "#":
                continue
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            target = target / "index.html" if target.is_dir() else target
            is_named = target not in read or not parts.fragment
            if not target.exists() or not (is_named or parts.fragment in read[target].names):
                yield page.relative_to(site).as_posix(), link


if __name__ == "__main__":
    main()
