"""The code of docs/interop.md that needs laplace-torch."""

import re
from pathlib import Path

import pytest
import torch

PAGE = Path(__file__).parents[2] / "docs" / "interop.md"


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:FutureWarning")
def test_the_pages_code_runs(capsys):
    (code,) = re.findall(r"^```py\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    namespace = {}
    exec(compile(code, str(PAGE), "exec"), namespace)
    assert torch.isfinite(namespace["la"].log_marginal_likelihood())
    assert "tensor" in capsys.readouterr().out
