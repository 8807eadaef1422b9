"""Files of the repository that pages link to, as pages of their own: a site has no other place for them."""

import re
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parent.parent
LINK = re.compile(r"(?<=\]\()(?!https?:|mailto:|#)([^)#\s]*)(#[^)\s]*)?(?=\)(?!\{ download))")
LANGUAGES = {".py": "python", ".yaml": "yaml", ".sh": "bash", ".sbatch": "bash", ".toml": "toml"}
FOLDER = "source"
README, RESULTS = "README.md", "results.md"


def resolve(page: str, target: str) -> str:
    """Where a link of a page leads, as a path in the repository."""
    parts: list[str] = []
    for part in (PurePosixPath("docs", page).parent / target).parts:
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)


def page_of(path: str) -> str:
    """The page, below docs, that shows a file of the repository."""
    return RESULTS if path == README else f"{FOLDER}/{path}.md"


def outside(page: str, markdown: str) -> set[str]:
    """The files outside of docs that a page links to."""
    found = {resolve(page, target) for target, _ in LINK.findall(markdown) if target}
    return {path for path in found if not path.startswith("docs/") and (ROOT / path).exists() and path != README}


def relink(page: str, markdown: str) -> str:
    """The page with its links to files outside of docs turned to the pages that show them."""

    def replace(match: re.Match[str]) -> str:
        target, anchor = match[1], match[2] or ""
        path = resolve(page, target) if target else ""
        if target.endswith(".ipynb"):  # its page; the file itself is a download
            return f"{target.removesuffix('.ipynb')}.md{anchor}"
        if not target or path.startswith("docs/") or not (ROOT / path).exists():
            return match[0]
        up = "../" * page.count("/")
        return f"{up}{page_of(path)}{anchor}"

    return LINK.sub(replace, markdown)


def show(path: str) -> str:
    """The page of a file, or of a folder: the names in it."""
    if (ROOT / path).is_dir():
        names = sorted(f"- `{one.name}`" for one in (ROOT / path).iterdir() if not one.name.startswith(("__py", ".")))
        return "\n".join([f"# {path}", "", *names]) + "\n"
    text = (ROOT / path).read_text()
    language = LANGUAGES.get(Path(path).suffix, "text")
    return f"---\nsearch: {{exclude: true}}\n---\n\n# {path}\n\n~~~~{language}\n{text}\n~~~~\n"


def results() -> str:
    """The README's section with the figures of all configs, as a page."""
    text = (ROOT / README).read_text()
    sections = re.split(r"^(?=## )", text, flags=re.MULTILINE)
    (shown,) = [section for section in sections if section.startswith("## Results\n")]
    text = re.sub(r"<!--.*?-->\n", "", shown).replace("## Results\n", "# Results\n", 1)
    folders = r"\]\((?:docs/([^)]*)|((?!https?:|#|/)[^)]*))\)"
    return re.sub(folders, lambda match: f"]({match[1] or '../' + match[2]})", text)
