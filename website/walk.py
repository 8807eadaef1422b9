"""Walks a built site link by link: each file and each anchor exists, and each page is near the first one."""

from collections import deque
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

FIRST = "index.html"
MOST_CLICKS = 2
FAR = ("source/", "404.html")  # pages of files are one click further; nobody clicks to an error


@dataclass
class Page(HTMLParser):
    """The links of a page, what it loads, and its anchors."""

    path: str
    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collects what an element has of them."""
        known = {name: value or "" for name, value in attrs}
        self.anchors |= {known[name] for name in ("id", "name") if name in known}
        if tag == "a" and "href" in known:
            self.links.append(known["href"])
        elif tag == "link" and "href" in known:
            self.loads.append(known["href"])
        elif "src" in known:
            self.loads.append(known["src"])


def read(site: Path) -> dict[str, Page]:
    """All pages of a site, by their paths."""
    found = {}
    for path in sorted(site.rglob("*.html")):
        page = Page(path.relative_to(site).as_posix())
        page.feed(path.read_text())
        found[page.path] = page
    return found


def target(page: str, link: str) -> tuple[str, str] | None:
    """The file and the anchor that a link leads to; None if it leaves the site."""
    address, anchor = urldefrag(link)
    parts = urlsplit(address)
    if parts.scheme or parts.netloc:
        return None
    if not parts.path:
        return page, unquote(anchor)
    path = unquote(parts.path)
    base = Path("/", page).parent
    whole = Path(path) if path.startswith("/") else base / path
    pieces: list[str] = []
    for piece in whole.parts[1:]:
        if piece == "..":
            pieces = pieces[:-1]
        elif piece != ".":
            pieces.append(piece)
    name = "/".join(pieces)
    return (f"{name}/{FIRST}".lstrip("/") if path.endswith("/") or not name else name), unquote(anchor)


def dead(site: Path, pages: dict[str, Page]) -> list[str]:
    """Links and loads that lead nowhere, a line each."""
    found = []
    for page in pages.values():
        for link in [*page.links, *page.loads]:
            where = target(page.path, link)
            if where is None:
                continue
            path, anchor = where
            if (site / path).is_dir():
                path = f"{path}/{FIRST}"
            if not (site / path).is_file():
                found.append(f"{page.path}: {link}: no such file")
            elif anchor and not anchor.startswith("__") and path in pages and anchor not in pages[path].anchors:
                found.append(f"{page.path}: {link}: no such anchor")
    return found


def far(pages: dict[str, Page]) -> list[str]:
    """Pages that need more clicks from the first one than they should, a line each."""
    clicks, waiting = {FIRST: 0}, deque([FIRST])
    while waiting:
        page = waiting.popleft()
        for link in pages[page].links:
            where = target(page, link)
            if where and where[0] in pages and where[0] not in clicks:
                clicks[where[0]] = clicks[page] + 1
                waiting.append(where[0])
    return [
        f"{path}: {clicks.get(path, 'not reached')} clicks, expected at most {MOST_CLICKS}"
        for path in pages
        if not path.startswith(FAR) and clicks.get(path, MOST_CLICKS + 1) > MOST_CLICKS
    ]


def check(site: Path) -> int:
    """Walks a site.

    Returns:
        The number of links.

    Raises:
        ValueError: If a link is dead, or a page far, with a line for each.
    """
    pages = read(site)
    if found := [*dead(site, pages), *far(pages)]:
        raise ValueError(f"{len(found)} links or pages:\n" + "\n".join(found))
    return sum(len(page.links) + len(page.loads) for page in pages.values())
