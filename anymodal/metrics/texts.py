"""The text of a reply, against references."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from anymodal.config import ConfigError
from anymodal.metrics.base import Metric
from anymodal.metrics.words import plain

if TYPE_CHECKING:
    from anymodal.metrics.samples import EvaluationSample
    from anymodal.types import Message


class Bleu(Metric):
    """BLEU over all replies together, from 0 to 1 (torchmetrics).

    Source: Papineni et al. 2002, "BLEU: a method for automatic evaluation of machine translation".

    Args:
        n_gram: the longest run of words that is compared.
        smooth: add one to the counts of longer runs, as for single sentences (Lin and Och 2004).
        normalize: leave case and punctuation out, see `words`; else texts are cut at white space.
    """

    needs = ("references",)

    def __init__(self, n_gram: int = 4, smooth: bool = False, normalize: bool = True) -> None:
        from torchmetrics.text import BLEUScore

        if n_gram < 1:
            raise ConfigError(f"n_gram={n_gram}; it must be 1 or above")
        self.n_gram, self.text = n_gram, plain if normalize else str
        self.library = BLEUScore(n_gram, smooth)

    def _update(self, sample: EvaluationSample, reply: Message) -> bool:
        self.library.update([self.text(reply.text)], [[self.text(r) for r in sample.references]])
        return True

    def _compute(self) -> dict[str, float]:
        return {f"bleu_{self.n_gram}": float(self.library.compute())}


class WordErrorRate(Metric):
    """Words to put in, take out or replace, over the words of the references (torchmetrics).

    Of several references the one with the lowest rate counts.

    Args:
        normalize: leave case and punctuation out, see `words`; else texts are cut at white space.
    """

    needs = ("references",)

    def __init__(self, normalize: bool = True) -> None:
        from torchmetrics.text import WordErrorRate as Library

        self.text = plain if normalize else str
        self.library = Library()

    def _update(self, sample: EvaluationSample, reply: Message) -> bool:
        from torchmetrics.functional.text import word_error_rate

        text, references = self.text(reply.text), [self.text(each) for each in sample.references]
        closest = min(references, key=lambda target: float(word_error_rate([text], [target])))
        self.library.update([text], [closest])
        return True

    def _compute(self) -> dict[str, float]:
        return {"word_error_rate": float(self.library.compute())}


class Cider(Metric):
    """CIDEr-D of captions (pycocoevalcap): 10 for the references' own words, 0 for others.

    Texts are brought to lower case and lose their punctuation, see `words`; the published figures
    of COCO use the Penn Treebank tokeniser instead, so compare within one of the two. How much a
    word tells is learned from the references of the samples at hand.

    Source: Vedantam et al. 2015, "CIDEr: consensus-based image description evaluation".

    Raises:
        ConfigError: if pycocoevalcap isn't installed.
    """

    needs = ("references",)
    least = 2  # a word that stands in the references of every sample tells nothing

    def __init__(self) -> None:
        try:
            from pycocoevalcap.cider.cider_scorer import CiderScorer
        except ModuleNotFoundError as error:
            raise ConfigError(
                "CIDEr needs the package pycocoevalcap; pip install 'anymodal[eval]'"
            ) from error
        self.library: Any = CiderScorer()

    def _update(self, sample: EvaluationSample, reply: Message) -> bool:
        self.library += (plain(reply.text), [plain(each) for each in sample.references])
        return True

    def _compute(self) -> dict[str, float]:
        if self.count < self.least:
            return {}
        # The scorer counts its references anew, on top of the last count.
        self.library.document_frequency.clear()
        return {"cider": float(self.library.compute_score()[0])}
