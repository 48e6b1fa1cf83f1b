"""The documents point at files that exist, and every page and decision is in its index."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/**/*.md")]
CODE = re.compile(r"^```.*?^```", re.M | re.S)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def relative_links(document: Path) -> list[str]:
    links = LINK.findall(CODE.sub("", document.read_text()))
    return [link for link in links if "://" not in link and not link.startswith("#")]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_relative_links_point_at_files(document: Path) -> None:
    missing = [link for link in relative_links(document) if not (document.parent / link.partition("#")[0]).exists()]
    assert not missing


def test_links_are_found() -> None:
    assert "docs/questions/README.md" in relative_links(ROOT / "README.md")


@pytest.mark.parametrize("folder", ["docs/questions", "docs/decisions"])
def test_the_index_has_every_page(folder: str) -> None:
    pages = {page.name for page in (ROOT / folder).glob("*.md")} - {"README.md"}
    assert pages == set(relative_links(ROOT / folder / "README.md")) & pages


def test_architecture_has_every_folder() -> None:
    folders = {path.parent.name for path in (ROOT / "src" / "sampan").glob("*/__init__.py")}
    links = relative_links(ROOT / "ARCHITECTURE.md")
    assert {folder for folder in folders if f"src/sampan/{folder}/__init__.py" not in links} == set()
