"""A web page on which visitors try models, and see them think: plain HTML, CSS and JavaScript modules.

`index.html` takes its models from one of two engines with the same calls: `server.js` asks a server, and `browser.js`
runs exported models with onnxruntime-web. `zoo.page.writing` writes a page of the second kind, for any web host.
"""

from pathlib import Path

HERE = Path(__file__).parent


def files() -> list[Path]:
    """Returns the files of the page, all of which lie beside each other."""
    return sorted(file for file in HERE.iterdir() if file.suffix in (".html", ".css", ".js"))
