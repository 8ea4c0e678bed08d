"""A trained G-CNN as plain Keras layers, and in other formats."""

from groco.surgery.formats import FORMATS, export_model
from groco.surgery.plain import export_plain

__all__ = ["FORMATS", "export_model", "export_plain"]
