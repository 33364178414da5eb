"""Sites: where parameters meet data. The floor on which paths and curvature stand."""

from relaxeq.sites.circular import FastCircularPad, circular_pad
from relaxeq.sites.hearing import hearing
from relaxeq.sites.kronecker import Site
from relaxeq.sites.layouts import (
    Explicit,
    Layout,
    Ones,
    Projected,
    Rearranged,
    Summed,
    add_gram_,
    reading,
)
from relaxeq.sites.memory import channels_last, has_channels_last, in_order
from relaxeq.sites.outer import gram_of, mirror_
from relaxeq.sites.patches import Patches, PlanePatches, TorusPatches
from relaxeq.sites.registry import (
    HasSites,
    Sites,
    check_module,
    deterministic,
    is_deterministic,
    module_sites,
    network_sites,
    register_sites,
    tapped,
)
from relaxeq.sites.tap import is_listening, listening, tap
from relaxeq.sites.torch_layers import bias_site
from relaxeq.sites.tracing import is_traced
from relaxeq.sites.wanted import Wanted, wanted, wanting

__all__ = [
    "Explicit",
    "FastCircularPad",
    "HasSites",
    "Layout",
    "Ones",
    "Patches",
    "PlanePatches",
    "Projected",
    "Rearranged",
    "Site",
    "Sites",
    "Summed",
    "TorusPatches",
    "Wanted",
    "add_gram_",
    "bias_site",
    "channels_last",
    "check_module",
    "circular_pad",
    "deterministic",
    "gram_of",
    "has_channels_last",
    "hearing",
    "in_order",
    "is_deterministic",
    "is_listening",
    "is_traced",
    "listening",
    "mirror_",
    "module_sites",
    "network_sites",
    "reading",
    "register_sites",
    "tap",
    "tapped",
    "wanted",
    "wanting",
]
