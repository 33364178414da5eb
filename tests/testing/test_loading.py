"""Loading networks from files: what fails on the way is an error, not an end."""

from pathlib import Path

import pytest

from relaxeq.errors import SpecError
from relaxeq.testing.loading import load_network


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import sys\nsys.exit(0)\n", "model.py' fails: SystemExit: 0"),
        ("import sys\ndef Net():\n    sys.exit(0)\n", r"Net\(\) fails: SystemExit: 0"),
    ],
    ids=["at import", "when called"],
)
def test_a_file_that_ends_the_program_is_an_error(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "model.py").write_text(text)
    with pytest.raises(SpecError, match=message):
        load_network(f"{tmp_path / 'model.py'}:Net")
