"""Hooks of MkDocs: pages that are made by the build, and the parts of pages that scripts write."""

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

from website import api, foreign, notebooks, samples, sources
from zoo.files import bundle

DOCS = sources.ROOT / "docs"
LESSONS, CARDS, API = "lessons", "pretrained", "api"
PART = re.compile(r"<!-- the build writes: (\w+) -->")
# Pages with wide tables or pictures have the room of the table of contents, and the first one that of both.
WIDE = ("cells.md", "coming_from/", "gallery.md", "pretrained.md", sources.RESULTS)
made: dict[str, str] = {}  # the pictures of the models


def on_config(config: Any) -> None:
    """Fills in the lines of the navigation that end in `*`."""
    if missing := api.undocumented():
        raise ValueError(f"public names without a docstring: {', '.join(missing)}")
    config.nav = _expand(config.nav)


def _expand(nav: Any) -> Any:
    found: list[Any] = []
    for item in nav:
        if isinstance(item, dict):
            ((title, value),) = item.items()
            if isinstance(value, str) and value.endswith("/*"):
                found += [{title: pages}] if (pages := _pages(value.removesuffix("/*"))) else []
            elif isinstance(value, str) and value.endswith(".ipynb"):
                found.append({title: value.replace(".ipynb", ".md")})
            else:
                found.append({title: _expand(value) if isinstance(value, list) else value})
        elif item.endswith("/*"):
            found += _pages(item.removesuffix("/*"))
        else:
            found.append(item)
    return found


def _pages(folder: str) -> list[dict[str, str]]:
    """The pages of a folder that the build makes, with their titles."""
    if folder == LESSONS:
        lessons = sorted((DOCS / LESSONS).glob("*.ipynb"))
        found = [{notebooks.title(path): f"{LESSONS}/{path.stem}.md"} for path in lessons]
        return [{"All lessons": f"{LESSONS}/index.md"}, *found] if (DOCS / LESSONS / "index.md").exists() else found
    if folder == CARDS:
        return [{name: f"{CARDS}/{name}.md"} for name in samples.entries()]
    if folder == API:
        return [{package: f"{API}/{package}.md"} for package in api.PACKAGES]
    raise ValueError(f"mkdocs.yml: {folder}/*: expected one of {LESSONS}, {CARDS}, {API}")


def on_files(files: Files, config: Any) -> Files:
    """Adds the pages that the build makes."""
    made.update({name: samples.sample(name, entry) for name, entry in samples.entries().items()})
    pages: dict[str, str | bytes] = {sources.RESULTS: sources.results()}
    pages |= {f"{CARDS}/{name}.md": _card(name, entry["sentence"]) for name, entry in samples.entries().items()}
    pages |= {f"{API}/{package}.md": api.page(package) for package in api.PACKAGES}
    executed = [path for path in sorted(DOCS.rglob("*.ipynb")) if ".ipynb_checkpoints" not in path.parts]
    for path, (text, pictures) in notebooks.pages(executed).items():
        page = path.relative_to(DOCS).with_suffix(".md")
        pages |= {page.as_posix(): text, **{(page.parent / name).as_posix(): data for name, data in pictures.items()}}
    written = {path.relative_to(DOCS).as_posix(): path.read_text() for path in DOCS.rglob("*.md")}
    linked = written | {page: text for page, text in pages.items() if isinstance(text, str)}
    for shown in sorted({path for name, text in linked.items() for path in sources.outside(name, text)}):
        pages[sources.page_of(shown)] = sources.show(shown)
    for name, content in pages.items():
        files.append(File.generated(config, name, content=content))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Writes the parts that scripts write, and turns links to files of the repository to pages of the site."""
    if page.file.src_uri.startswith(sources.FOLDER):
        return markdown
    if page.file.src_uri.startswith(WIDE):
        page.meta["hide"] = ["toc"]
    elif page.file.src_uri == "index.md":
        page.meta["hide"] = ["toc", "navigation"]
    markdown = PART.sub(lambda match: PARTS[match[1]](), markdown)
    return sources.relink(page.file.src_uri, markdown)


def on_post_template(output_content: str, template_name: str, **_: Any) -> str:
    """Says where to go on the page that a web server shows for a wrong address."""
    says = '<p>Begin at the <a href="/index.html">first page</a>, or search at the top of this one.</p>'
    return output_content.replace("</h1>", f"</h1>{says}", 1) if template_name == "404.html" else output_content


def on_post_build(config: Any) -> None:
    """Writes the index that the search reads from the disk, and takes the addresses of others out of the scripts."""
    folder = Path(config.site_dir, "search")
    (folder / "search_index.js").write_text(f"var __index = {(folder / 'search_index.json').read_text()}")
    foreign.remove(Path(config.site_dir))
    if found := foreign.loads(Path(config.site_dir)):
        raise ValueError("pages load foreign addresses:\n" + "\n".join(found))


def _card(name: str, sentence: str) -> str:
    """A model's page: what it does, its card, and what the example of its card prints."""
    card = (bundle.SHIPPED / name / "README.md").read_text()
    _, _, body = card.split("---\n", 2)
    heading, rest = body.strip().split("\n", 1)
    printed = samples.example(name, rest)
    rest = (
        rest.rstrip().removesuffix("```").rstrip() + f"\n```\n\nIt prints:\n\n```{{ .text .prints }}\n{printed}\n```\n"
    )
    about = heading.removeprefix("# ")
    title = f"# {name}\n\n**{about[0].upper()}{about[1:]}**"
    return f"{title}\n\n{sentence}\n\n{made[name]}\n\n## Card\n\n{rest}"


def _gallery() -> str:
    """One picture and one sentence for each model."""
    return "\n\n".join(
        f'<div class="entry" markdown>\n\n## [{name.replace(".", ".<wbr/>")}]({CARDS}/{name}.md)\n\n'
        f"{entry['sentence']}\n\n{made[name]}\n\n</div>"
        for name, entry in samples.entries().items()
    )


def _models() -> str:
    """The table of the models."""
    rows = ["| model | reaches | parameters |", "|---|---|---|"]
    for name, entry in samples.entries().items():
        known = bundle.read_config(bundle.SHIPPED / name)
        reaches = "<br>".join(f"{metric} {value}" for metric, value in known["about"]["metrics"].items())
        model = f"[`{name}`]({CARDS}/{name}.md)<br>{entry['sentence']}"
        rows.append(f"| {model} | {reaches} | {known['parameters']:,} |")
    return "\n".join(rows)


def _lessons() -> str:
    """The lessons, a line each."""
    found = [(title, page) for item in _pages(LESSONS) for title, page in item.items() if not page.endswith("index.md")]
    return "\n".join(f"1. [{title.split('. ', 1)[-1]}]({page})" for title, page in found)


def _home() -> str:
    """Three models at work."""
    shown = ("seq_classifier_lstm.mnist_best", "char_lm_lstm.alice_best", "regressor_gru.co2")
    known = samples.entries()
    return "\n\n".join(f"<div markdown>\n\n{known[name]['sentence']}\n\n{made[name]}\n\n</div>" for name in shown)


PARTS = {"api": api.index, "gallery": _gallery, "home": _home, "lessons": _lessons, "models": _models}
