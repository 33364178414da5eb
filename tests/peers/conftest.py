"""Other libraries warn while they are imported; after that, warnings are errors here, too."""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import curvlinops  # noqa: F401
    import laplace  # noqa: F401
