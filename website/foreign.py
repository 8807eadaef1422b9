"""Addresses of others: a page loads none, so that it works offline and tells nobody who reads it."""

import re
from html.parser import HTMLParser
from pathlib import Path

# Material's script would load these: a polyfill for old browsers, diagrams, and facts about a repository.
REMOVED = re.compile(r"https://(?:unpkg\.com|api\.github\.com)/[\w./@-]*")
LOADING = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "audio": "src"}
LINKS_THAT_LOAD = {"stylesheet", "icon", "preload", "prefetch", "preconnect", "dns-prefetch", "modulepreload"}
IN_STYLES = re.compile(r"""(?:url\(\s*|@import\s+)["']?((?:https?:)?//[^"')\s]+)""")
IN_SCRIPTS = re.compile(r"""(?:fetch|importScripts|import|src\s*=|href\s*=)\s*\(?\s*["'`]((?:https?:)?//[^"'`]+)""")


def remove(site: Path) -> None:
    """Takes the addresses that the theme's scripts know out of them."""
    for path in site.rglob("*.js"):
        text = path.read_text()
        if REMOVED.search(text):
            path.write_text(REMOVED.sub("", text))


def loads(site: Path) -> list[str]:
    """What the files of a site would load from elsewhere, a line each."""
    found = []
    for path in sorted(site.rglob("*")):
        name = path.relative_to(site)
        if path.suffix == ".html":
            reader = _Reader()
            reader.feed(path.read_text())
            found += [f"{name}: {address}" for address in reader.found]
        elif path.suffix == ".css":
            found += [f"{name}: {address}" for address in IN_STYLES.findall(path.read_text())]
        elif path.suffix == ".js":
            text = path.read_text()
            found += [f"{name}: {address}" for address in [*IN_SCRIPTS.findall(text), *REMOVED.findall(text)]]
    return found


class _Reader(HTMLParser):
    """Collects the addresses that a page loads."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.styles = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        self.styles = tag == "style"
        address = known.get(LOADING.get(tag, ""))
        if tag == "link" and LINKS_THAT_LOAD & set((known.get("rel") or "").split()):
            address = known.get("href")
        if address and re.match(r"(https?:)?//", address):
            self.found.append(address)
        self.found += IN_STYLES.findall(known.get("style") or "")

    def handle_data(self, data: str) -> None:
        if self.styles:
            self.found += IN_STYLES.findall(data)
