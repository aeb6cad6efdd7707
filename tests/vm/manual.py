# SPDX-License-Identifier: BSD-3-Clause
"""The examples in the manual's Markdown pages, for tests that run them unchanged."""
import re
import subprocess
import textwrap

from . import paths


def examples(page: str, language: str, heading: str = "") -> list[str]:
    """The blocks of docs/PAGE, or of a page at the top, in a language; only those below a heading."""
    folder = paths.ROOT if page == "README.md" else paths.ROOT / "docs"
    text = (folder / page).read_text(encoding="utf-8")
    if heading:
        text = re.split(rf"^#+ {re.escape(heading)}$", text, flags=re.M)[1]
        text = re.split(r"^#+ ", text, maxsplit=1, flags=re.M)[0]
    found = re.findall(rf"^( *)```{language}\n(.*?)^\1```$", text, re.M | re.S)
    if not found:
        raise ValueError(f"{page}: no block of {language}")
    return [textwrap.dedent(block) for _, block in found]


def steps(page: str, heading: str) -> int:
    """How many steps the numbered list below a heading has."""
    folder = paths.ROOT if page == "README.md" else paths.ROOT / "docs"
    text = re.split(rf"^#+ {re.escape(heading)}$", (folder / page).read_text(encoding="utf-8"),
                    flags=re.M)[1]
    return len(re.findall(r"^\d+\. ", re.split(r"^#+ ", text, maxsplit=1, flags=re.M)[0], re.M))


def words(text: str) -> list[str]:
    """The arguments of a program as a shell reads them."""
    done = subprocess.run(["sh", "-c", "printf '%s\\0' " + text], text=True, capture_output=True,
                          timeout=30, check=True)
    return done.stdout.split("\0")[:-1]
