"""onnxruntime-web, which runs the models of a page in a browser: one pinned package of the npm registry."""

import hashlib
import tarfile
from pathlib import Path

VERSION = "1.30.0"
URL = f"https://registry.npmjs.org/onnxruntime-web/-/onnxruntime-web-{VERSION}.tgz"
NAME = f"onnxruntime-web/onnxruntime-web-{VERSION}.tgz"  # in the cache
SHA512 = (
    "ab4cbe26baedba45d2cec05610c71c55fa97db92d19a8b171c5f8269126683ca"
    "590a5cdc57bb2f35ce2b298de32f4d956fb42644c0ecd528a0a91e025c07ca61"
)
FILES = {  # in the package -> in the page; some hosts do not know the suffix .mjs
    "package/dist/ort.wasm.bundle.min.mjs": "ort.js",
    "package/dist/ort-wasm-simd-threaded.wasm": "ort.wasm",
}
LICENSE = Path(__file__).with_name("onnxruntime_license.txt")


def check(archive: Path) -> None:
    """Raises ValueError if a file is not the package."""
    with archive.open("rb") as file:
        found = hashlib.file_digest(file, "sha512").hexdigest()
    if found != SHA512:
        raise ValueError(f"its SHA-512 is {found[:12]}..., expected {SHA512[:12]}...")


def unpack(archive: Path, folder: Path) -> None:
    """Writes the files that a page needs, and their licence, to a new folder."""
    folder.mkdir()
    with tarfile.open(archive) as package:
        for name, target in FILES.items():
            member = package.extractfile(name)
            assert member is not None
            (folder / target).write_bytes(member.read())
    (folder / "LICENSE").write_text(LICENSE.read_text(encoding="utf-8"), encoding="utf-8")
