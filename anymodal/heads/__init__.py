"""Output heads: a signal span's hidden states become a decoder's conditioning."""

from anymodal.heads.alignment import alignment_loss, alignment_means
from anymodal.heads.base import Head
from anymodal.heads.connector import ConnectorHead
from anymodal.heads.linear import LinearHead
from anymodal.heads.mapper import MapperHead

__all__ = [
    "ConnectorHead",
    "Head",
    "LinearHead",
    "MapperHead",
    "alignment_loss",
    "alignment_means",
]
