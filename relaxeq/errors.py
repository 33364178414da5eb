"""The errors of relaxeq: what was given to which argument, why not, and what to write."""


class RelaxeqError(Exception):
    """Base of all errors that relaxeq raises on purpose."""


class ShapeError(RelaxeqError, ValueError):
    """A tensor has a shape, dtype or device that the receiver cannot take."""


class SpecError(RelaxeqError, ValueError):
    """A layer spec, kernel size, stride or other option is not one that exists."""


class GroupError(RelaxeqError, ValueError):
    """A group, element, representation or field is wrong, or does not fit the others."""


class SiteError(RelaxeqError, TypeError):
    """A parameter has no curvature site, or a site contradicts its module."""


class NumericsError(RelaxeqError, ArithmeticError):
    """A loss, a factor or a precision stopped being finite."""


class DataError(RelaxeqError, ValueError):
    """A data set, loader or label is missing, damaged, empty or out of range."""


class CheckpointError(RelaxeqError, OSError):
    """A run folder or checkpoint cannot be written, read or matched to the network."""


class EvidenceWarning(UserWarning):
    """The evidence is computed, but means less than a reader may think."""


class EquivarianceError(RelaxeqError, AssertionError):
    """A module that should be equivariant is not."""
