"""Hypothesis strategies: random groups, fields, features, layers and networks, small when shrunk.

Strategies are plural nouns with keyword-only options; everything that can be left out is drawn.
Weights and features are standard normal from a drawn seed, which a failing example prints: equal
maxima, where the phase of a polyphase choice is a matter of order and not of symmetry, then have
probability 0. `features(ties=True)` draws small whole numbers instead, among which ties are common.
"""

from relaxeq.paths import FILTERS
from relaxeq.testing.strategies.field_draws import SIZES, features, fields
from relaxeq.testing.strategies.group_draws import elements, groups, planar_groups, representations
from relaxeq.testing.strategies.layer_draws import layers, linear_layers, paths, specs
from relaxeq.testing.strategies.network_draws import Stack, networks

__all__ = [
    "FILTERS",
    "SIZES",
    "Stack",
    "elements",
    "features",
    "fields",
    "groups",
    "layers",
    "linear_layers",
    "networks",
    "paths",
    "planar_groups",
    "representations",
    "specs",
]
