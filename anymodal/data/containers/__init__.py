"""Containers of rows: files and folders in which data sets are published."""

from anymodal.data.containers.base import BrokenFile, Row, RowSource
from anymodal.data.containers.opening import open_rows

__all__ = ["BrokenFile", "Row", "RowSource", "open_rows"]
