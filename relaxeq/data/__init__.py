"""Real images by name, the tasks of paper §6 made of them, and loaders for tensors in memory."""

from relaxeq.data.augment import Augmentation, AugmentedLoader, Flips, Shifts
from relaxeq.data.digits import load_digits
from relaxeq.data.loader import TensorLoader
from relaxeq.data.sources import SOURCES, load_images
from relaxeq.data.tasks import ImageTask, Sets, Task, ToyTask
from relaxeq.data.tensor_file import TensorFile
from relaxeq.data.toy import CLASSES, quadrants, toy_task
from relaxeq.data.transforms import Fitted, InQuadrant, Rotated, Transform, Translated

__all__ = [
    "CLASSES",
    "SOURCES",
    "Augmentation",
    "AugmentedLoader",
    "Fitted",
    "Flips",
    "ImageTask",
    "InQuadrant",
    "Rotated",
    "Sets",
    "Shifts",
    "Task",
    "TensorFile",
    "TensorLoader",
    "ToyTask",
    "Transform",
    "Translated",
    "load_digits",
    "load_images",
    "quadrants",
    "toy_task",
]
