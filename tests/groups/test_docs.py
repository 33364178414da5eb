"""The page on groups: its code runs from top to bottom."""

import re
from pathlib import Path

from relaxeq import groups

PAGE = Path(__file__).parents[2] / "docs" / "groups.md"


def test_the_code_on_the_page_runs():
    text = PAGE.read_text(encoding="utf-8")
    blocks = list(re.finditer(r"^```python\n(.*?)^```", text, flags=re.M | re.S))
    assert len(blocks) >= 10
    names = {}
    for block in blocks:
        # Blank lines in front make the line numbers in an error those of the page.
        lines = text[: block.start(1)].count("\n")
        exec(compile("\n" * lines + block[1], str(PAGE), "exec"), names)


def test_the_page_names_what_there_is():
    from_page = set(re.findall(r"groups\.(\w+)", PAGE.read_text(encoding="utf-8"))) - {"md"}
    assert from_page <= set(dir(groups))
