"""The site: its pages are listed, its names documented, its examples run, and its checks find what they look for."""

import importlib.util
import re
import shlex
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from support import ROOT
from website import __main__ as command
from website import api, foreign, notebooks, samples, sources, walk

DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
BLOCK = re.compile(r'^```(\w+)(?: title="(.*?)")?\n(.*?)^```$', re.DOTALL | re.MULTILINE)
OURS = ("", "zoo", "by hand")  # the titles of code that runs here
SHORT = ["--trainer.max_epochs", "1"]
COMING_FROM = sorted((DOCS / "coming_from").glob("*.md"))


def listed(nav: Any) -> Iterator[str]:
    for item in nav:
        for value in item.values() if isinstance(item, dict) else [item]:
            yield from [value] if isinstance(value, str) else listed(value)


NAV = [*listed(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"])]


def test_the_navigation_has_every_page() -> None:
    lessons = ["lessons/*"] if (DOCS / "lessons").exists() else []
    written = [path.relative_to(DOCS).as_posix() for path in [*PAGES, *DOCS.glob("*.ipynb")]]
    written = [path for path in written if not path.startswith("lessons/")]
    made = [sources.RESULTS, "lessons/*", "pretrained/*", "api/*"]
    assert {*written, *lessons} - {*NAV} == set()
    assert {*NAV} - {*written} == {*made}
    assert len(NAV) == len({*NAV})


def test_every_public_name_is_documented() -> None:
    assert api.undocumented() == []


def test_a_name_without_a_docstring_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "bare.py").write_text(
        '"""A module."""\nA = 1\n"""One."""\nB = 2\ndef f(): ...\n__all__ = ["A", "B", "f"]\n'
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(api, "PACKAGES", {"bare": ""})
    assert api.undocumented() == ["bare.B", "bare.f"]


@pytest.mark.parametrize("page", COMING_FROM, ids=lambda page: page.stem)
@pytest.mark.filterwarnings("ignore")  # Lightning's, about loaders without workers
def test_our_side_of_a_comparison_runs(
    page: Path, zoo_command: Callable, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    blocks = BLOCK.findall(page.read_text())
    known: dict[str, Any] = {"__name__": "page"}
    for kind, title, block in blocks:
        if kind == "python" and title in OURS:
            exec(block, known)
        elif kind == "console":
            for line in block.replace("\\\n", " ").splitlines():
                argv = shlex.split(line)[3:]
                result = zoo_command(*argv, *(SHORT if argv[0] == "fit" else []))
                assert result.code == 0, f"{line}\n{result.err}"
    if page.stem == "keras":
        assert known["task"].model.predict_values([25, 35, 45])[0][0] == pytest.approx(55, abs=0.5)


def test_the_commands_to_a_first_model_run(zoo_command: Callable) -> None:
    for kind, _, block in BLOCK.findall((DOCS / "two_minutes.md").read_text()):
        for line in block.splitlines() if kind == "console" else []:
            argv = shlex.split(line)[3:]
            result = zoo_command(*argv, *(["--trainer.max_epochs", "2"] if argv[0] == "fit" else []))
            assert result.code == 0, f"{line}\n{result.err}"


@pytest.mark.parametrize("page", [page for page in PAGES if page.parent != DOCS], ids=lambda page: page.stem)
def test_its_links_lead_somewhere(page: Path) -> None:
    made = {DOCS / sources.RESULTS}
    for target, _ in sources.LINK.findall(page.read_text()):
        assert not target or (page.parent / target).exists() or page.parent / target in made, target


def test_no_page_or_style_loads_a_foreign_address() -> None:
    loads = re.compile(r"!\[[^\]]*\]\((?:https?:)?//|<(?:script|img|iframe|link|video)[^>]*[\"'](?:https?:)?//")
    for page in PAGES:
        assert not loads.search(page.read_text()), page
    for style in DOCS.rglob("*.css"):
        assert not foreign.IN_STYLES.findall(style.read_text()), style


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.html", '<link rel="stylesheet" href="https://fonts.example/a.css">'),
        ("a.html", '<script src="//cdn.example/a.js"></script>'),
        ("a.html", "<style>@import 'https://fonts.example/a.css'</style>"),
        ("a.html", '<p style="background: url(https://example/a.png)"></p>'),
        ("a.css", "a { background: url(https://example/a.png) }"),
        ("a.js", 'fetch("https://example/a.json")'),
    ],
)
def test_a_foreign_address_in_the_site_is_found(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / "b.html").write_text('<a href="https://example.org">a link loads nothing</a>')
    assert not foreign.loads(tmp_path)
    (tmp_path / name).write_text(text)
    assert len(foreign.loads(tmp_path)) == 1


def test_the_addresses_in_the_themes_scripts_are_removed(tmp_path: Path) -> None:
    (tmp_path / "bundle.js").write_text('load("https://unpkg.com/mermaid@11/dist/mermaid.min.js")')
    assert foreign.loads(tmp_path)
    foreign.remove(tmp_path)
    assert not foreign.loads(tmp_path)


def site_of(folder: Path, **pages: str) -> Path:
    for name, text in pages.items():
        (folder / f"{name}.html").write_text(text)
    return folder


def test_a_walk_counts_the_links(tmp_path: Path) -> None:
    site = site_of(tmp_path, index='<a href="a.html#b">', a='<h2 id="b"><a href="index.html"><a href="https://x.org">')
    assert walk.check(site) == 3


@pytest.mark.parametrize(
    ("index", "says"),
    [
        ('<a href="a.html"><a href="b.html">', "b.html: no such file"),
        ('<a href="a.html#c">', "a.html#c: no such anchor"),
        ('<a href="a.html"><img src="a.png">', "a.png: no such file"),
        ("", "a.html: not reached clicks, expected at most 2"),
    ],
)
def test_a_walk_stops_at_a_dead_link(index: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        walk.check(site_of(tmp_path, index=index, a="<h1>a</h1>"))


def test_a_page_three_clicks_away_is_far(tmp_path: Path) -> None:
    chain = {"index": "a", "a": "b", "b": "c", "c": "index"}
    site = site_of(tmp_path, **{page: f'<a href="{following}.html">' for page, following in chain.items()})
    with pytest.raises(ValueError, match="c.html: 3 clicks, expected at most 2"):
        walk.check(site)


def test_every_trained_model_has_a_sentence_and_a_picture() -> None:
    for name, entry in samples.entries().items():
        assert entry["sentence"].endswith("."), name
        assert entry["shows"] in samples.PICTURES, name


@pytest.mark.draws
@pytest.mark.parametrize("kind", samples.PICTURES)
def test_a_picture_is_a_part_of_a_page(kind: str) -> None:
    name, entry = next((name, entry) for name, entry in samples.entries().items() if entry["shows"] == kind)
    shown = samples.sample(name, entry)
    ElementTree.fromstring(shown)
    assert "\n\n" not in shown.strip() or "<svg" not in shown  # Markdown would end the picture there


def test_a_link_to_a_file_of_the_repository_leads_to_its_page() -> None:
    text = "[a](../zoo/vocab.py), [b](data.md#pairs), [c](../README.md#results), [d](https://example.org)"
    relinked = "[a](source/zoo/vocab.py.md), [b](data.md#pairs), [c](results.md#results), [d](https://example.org)"
    assert sources.outside("models.md", text) == {"zoo/vocab.py"}
    assert sources.relink("models.md", text) == relinked


def test_a_bar_of_progress_is_shown_as_it_ends() -> None:
    shown = notebooks.settled("a\nepoch 1: 10%, 5it/s\repoch 1: 100%, 6it/s\nepoch 2: 100%, 7it/s\n")
    assert shown == "a\nepoch 2: 100%, 7it/s"


def test_equations_become_mathml_and_code_stays_as_it_is() -> None:
    pytest.importorskip("latex2mathml")
    shown = notebooks.equations("$h_t$ costs `$5` and `$6`\n\n$$c = f \\odot g$$")
    assert "`$5` and `$6`" in shown
    assert shown.count("<math") == 2
    assert 'display="block"' in shown


def test_without_its_packages_the_build_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "material" else types)
    monkeypatch.setattr(sys, "argv", ["website"])
    with pytest.raises(SystemExit, match=re.escape(f"the site needs material: {command.INSTALL}")):
        command.main()


@pytest.mark.slow
@pytest.mark.skipif(bool(command.missing()), reason="needs the extra docs")
def test_the_site_builds_strictly_and_every_link_in_it_leads_somewhere(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "website", "--out", str(tmp_path / "site")]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"site: \d+ pages, \d+ links", done.stdout)
    assert "SystemExit" not in done.stderr
