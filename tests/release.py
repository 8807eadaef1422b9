"""Builds the wheel and the sdist into dist/, and runs the tests marked `short` with each, in a fresh environment.

The tests come from the sdist, beside which there is no `zoo` but the installed one. A last environment has NumPy and
onnxruntime alone, for an exported model. `make release` runs this; it takes a quarter of an hour, and the network.
"""

import shutil
import subprocess
import sys
import tarfile
import venv
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parent.parent
DIST = ROOT / "dist"
PACKAGES = ("zoo", "datamodules")
WRITER = "char_lm_lstm.alice_heldout"


def call(*words: str | Path, folder: Path) -> None:
    """Shows a command, and runs it; the end of this program if it fails."""
    sys.stdout.write(f"$ {' '.join(map(str, words))}\n")
    sys.stdout.flush()
    if code := subprocess.run(words, cwd=folder, check=False).returncode:
        sys.exit(code)


def environment(folder: Path, *words: str | Path) -> Path:
    """A fresh environment with some packages; gives its folder of programs."""
    venv.create(folder, with_pip=True)
    pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    call(*pip, "--constraint", ROOT / "constraints.txt", *words, folder=folder)
    return folder / "bin"


def tests_of(sdist: Path, folder: Path) -> Path:
    """The sdist's content without the packages, which are to be the installed ones."""
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    (content,) = folder.iterdir()
    for name in PACKAGES:
        shutil.rmtree(content / name)
    return content


def main() -> None:
    """Builds, and tests what was built."""
    shutil.rmtree(DIST, ignore_errors=True)
    with TemporaryDirectory() as name:
        folder = Path(name)
        programs = environment(folder / "tools", "build", "twine")
        call(programs / "pyproject-build", "--outdir", DIST, ROOT, folder=ROOT)
        (wheel,), (sdist,) = DIST.glob("*.whl"), DIST.glob("*.tar.gz")
        call(programs / "twine", "check", "--strict", wheel, sdist, folder=ROOT)
        tests = tests_of(sdist, folder / "sdist")
        for file in (sdist, wheel):
            shutil.rmtree(folder / "full", ignore_errors=True)
            programs = environment(folder / "full", f"{file}[test]")
            call(programs / "pytest", "-m", "short and not slow", "tests", folder=tests)
        call(programs / "zoo", "infer", "seq2seq_rnn.toy_en_ko", "word", folder=folder)
        call(programs / "zoo", "export", WRITER, "-o", "writer", "--format", "onnx", folder=folder)
        programs = environment(folder / "lean", "numpy", "onnxruntime")
        call(programs / "pip", "install", "--quiet", "--no-deps", wheel, folder=folder)
        call(programs / "zoo", "generate", "writer", "--prompt", "alice was", "--seed", "1", folder=folder)


if __name__ == "__main__":
    main()
