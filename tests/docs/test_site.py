"""The site: each document has its place in it, and a link that leads nowhere is found."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
sys.path.insert(1, str(ROOT))

from tools import site  # noqa: E402


def named_in(entry) -> list[str]:
    if isinstance(entry, str):
        return [entry]
    values = entry.values() if isinstance(entry, dict) else entry
    return [name for value in values for name in named_in(value)]


def test_the_site_names_every_document_once():
    nav = named_in(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"])
    pages = {path.name for path in (ROOT / "docs").glob("*.md")}
    top = {name for name in site.TOP if name != "README.md"}
    api = {f"api/{name}.md" for name in ("yoi_bundles", "yoi_bundles.aio")}

    assert len(nav) == len(set(nav))
    assert set(nav) == pages | top | api | {"index.md", "adr/README.md"}


def test_documents_are_collected_with_links_that_lead_to_their_pages(tmp_path):
    site.collect_pages(tmp_path / "pages")
    start = (tmp_path / "pages" / "index.md").read_text()
    records = (tmp_path / "pages" / "adr" / "README.md").read_text()

    assert "](policy.md)" in start
    assert "](docs/" not in start
    linked = [one for one in re.findall(r"\]\(([\w.-]+\.md)\)", records) if one[0] == "0"]
    assert len(linked) > 25
    assert [one for one in linked if not (tmp_path / "pages" / "adr" / one).is_file()] == []


def test_the_file_that_a_block_is_becomes_its_title(tmp_path):
    site.collect_pages(tmp_path / "pages")
    text = (tmp_path / "pages" / "format.md").read_text()

    assert '```toml title="workflows/review.toml"' in text
    assert re.search(r"^```\w+ (?!title=)", text, re.MULTILINE) is None


@pytest.mark.parametrize(
    ("link", "is_dead"),
    [
        ("b.html", False), ("b.html#there", False), ("#here", False), ("below/", False),
        ("#", False),
        ("https://example.org/x", False), ("c.html", True), ("b.html#gone", True), ("#gone", True),
    ],
)  # fmt: skip
def test_a_link_that_leads_nowhere_is_found(tmp_path, link, is_dead):
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "index.html").touch()
    (tmp_path / "a.html").write_text(f'<h1 id="here">A</h1><a href="{link}">on</a>')
    (tmp_path / "b.html").write_text('<a name="there"></a>')

    assert list(site.find_dead_links(tmp_path)) == [("a.html", link)] * is_dead


def test_a_page_of_the_api_says_what_the_docstrings_say(tmp_path):
    from tools.api_pages import write_pages

    write_pages(tmp_path / "api")
    page = (tmp_path / "api" / "yoi_bundles.md").read_text()
    follow = page[page.index("### follow") :]

    assert follow.splitlines()[3:6] == [
        "def follow(", "    runtime: Runtime,", "    url: str,"
    ]  # fmt: skip
    assert "#### plan_launch" in page
    assert "- `poll_seconds`: Between two polls of a workspace; more than 0." in follow
    assert "### BundleMissingError" in page[page.index("## Errors") :]
