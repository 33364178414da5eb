"""Real digits without a download, the tasks of paper §6.1, and a loader for tensors in memory."""

from relaxeq.data.digits import load_digits
from relaxeq.data.loader import TensorLoader
from relaxeq.data.toy import CLASSES, quadrants, toy_task

__all__ = ["CLASSES", "TensorLoader", "load_digits", "quadrants", "toy_task"]
