"""Output heads: a signal span's hidden states become a decoder's conditioning."""

from anymodal.heads.base import Head
from anymodal.heads.choosing import ChoosingHead
from anymodal.heads.connector import ConnectorHead
from anymodal.heads.linear import LinearHead
from anymodal.heads.mapper import MapperHead

__all__ = [
    "ChoosingHead",
    "ConnectorHead",
    "Head",
    "LinearHead",
    "MapperHead",
]
