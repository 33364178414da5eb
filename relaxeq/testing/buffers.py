"""Buffers: what a module notes down while it runs, put back afterwards."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.parameter import is_lazy


@contextmanager
def kept_buffers(network: nn.Module) -> Iterator[None]:
    """The buffers of the network, such as running means, are afterwards as they were before."""
    kept = [
        (module, name, buffer, buffer.clone())
        for module in network.modules()
        for name, buffer in module.named_buffers(recurse=False)
        if not (is_lazy(buffer) or buffer.is_meta)  # these hold no values
    ]
    try:
        yield
    finally:
        with torch.no_grad():
            for module, name, buffer, value in kept:
                # Equal ones are left alone: graphs that hold them would count a write as a change.
                if not torch.equal(buffer, value):
                    buffer.copy_(value)
                setattr(module, name, buffer)
