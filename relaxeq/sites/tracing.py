"""Whether torch is writing down a graph."""

import torch


def is_traced() -> bool:
    """Whether torch.compile, torch.export or torch.jit.trace is looking: plain operations then."""
    return torch.compiler.is_compiling() or torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
