"""Builds the site into `site/`, strictly, and walks it; `--serve` shows what was built.

python -m website
python -m website --serve
"""

import argparse
import functools
import http.server
import importlib.util
import logging
import os
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
SITE = ROOT / "site"
NEEDS = ("mkdocs", "material", "mkdocstrings", "mkdocstrings_handlers.python", "nbclient", "latex2mathml")
INSTALL = 'pip install --constraint constraints.txt --editable ".[docs]"'


def missing() -> list[str]:
    """The modules that the build needs and that are not installed."""

    def found(name: str) -> bool:
        try:
            return importlib.util.find_spec(name) is not None
        except ModuleNotFoundError:  # of the package around it
            return False

    return [name for name in NEEDS if not found(name)]


def build(site: Path) -> None:
    """Builds the site and walks it."""
    from mkdocs.commands.build import build as build_site
    from mkdocs.config import load_config
    from mkdocs.exceptions import MkDocsException
    from nbclient.exceptions import CellExecutionError

    from website import foreign, walk

    began = time.monotonic()
    os.environ["NO_MKDOCS_2_WARNING"] = "1"  # of the theme, about another tool
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # of lessons, which run side by side
    os.chdir(ROOT)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    try:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["MPLCONFIGDIR"] = folder  # pictures know the fonts that are installed now
            build_site(load_config("mkdocs.yml", site_dir=str(site)))
        if loaded := foreign.loads(site):
            raise ValueError("pages load foreign addresses:\n" + "\n".join(loaded))
        links = walk.check(site)
    except (CellExecutionError, MkDocsException, ValueError) as error:
        sys.exit(f"the site was not built: {error}")
    pages = len([*site.rglob("*.html")])
    sys.stdout.write(f"site: {pages} pages, {links} links, {time.monotonic() - began:.0f} s\n")


def serve(site: Path, port: int) -> None:
    """Shows the site on this machine, until it is stopped."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", port), handler) as server:
        sys.stdout.write(f"http://127.0.0.1:{port}/index.html, until Ctrl-C\n")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return


def main() -> None:
    """Builds, or serves."""
    parser = argparse.ArgumentParser(
        prog="python -m website", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--serve", action="store_true", help="show the site; build it first if it is not there")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--out", type=Path, default=SITE, help="the folder of the site")
    options = parser.parse_args()
    if not options.serve or not (options.out / "index.html").exists():
        if lacking := missing():
            sys.exit(f"the site needs {', '.join(lacking)}: {INSTALL}")
        build(options.out.resolve())
    if options.serve:
        serve(options.out, options.port)


if __name__ == "__main__":
    main()
