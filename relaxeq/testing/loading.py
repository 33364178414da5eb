"""Loading: the network that a text such as module.py:Net names."""

import importlib.util
import sys
from pathlib import Path
from typing import Any

from torch import nn

from relaxeq.errors import SpecError


def load_network(target: str) -> nn.Module:
    """The network that "module.py:Net" names.

    Net is a module, or a class or function that makes one without arguments. Imports beside the
    file work as for a script. Raises SpecError, with the cause, for whatever fails on the way.
    """
    path, colon, name = target.rpartition(":")
    file = Path(path)
    if not colon or file.suffix != ".py" or not name:
        raise SpecError(f"{target!r} must name a file and what is in it: write module.py:Net.")
    if not file.is_file():
        raise SpecError(f"{path!r} is no file: write the path of the module that holds {name}.")
    found = getattr(_module(file), name, None)
    if found is None:
        raise SpecError(f"{path!r} holds no {name!r}.")
    if isinstance(found, nn.Module):
        return found
    try:
        made = found()
    except (Exception, SystemExit) as error:  # whatever a user's code raises
        raise SpecError(
            f"{name}() fails: {type(error).__name__}: {error}. Write a function without arguments "
            f"that returns the network, and name it in the place of {name}."
        ) from error
    if not isinstance(made, nn.Module):
        raise SpecError(f"{name}() is a {type(made).__name__}, no torch.nn.Module.")
    return made


def _module(file: Path) -> Any:
    spec = importlib.util.spec_from_file_location(f"_checked_{file.stem}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    sys.path.insert(0, str(file.parent))
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # whatever a user's code raises
        raise SpecError(f"{str(file)!r} fails: {type(error).__name__}: {error}.") from error
    finally:
        sys.path.remove(str(file.parent))
    return module
