"""A web page on which visitors try models, and see them think: plain HTML, CSS and JavaScript modules.

`index.html` takes its models from one of two engines with the same calls: `server.js` asks a server, and `browser.js`
runs exported models with onnxruntime-web. `write` writes a page of the second kind, for any web host.
"""

from zoo.page.writing import write as write
