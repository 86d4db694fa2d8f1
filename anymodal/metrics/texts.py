"""The text of a reply, against references."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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

    How much a word tells is learned from the references of the samples at hand; a single reply's
    figure (`of_single_replies`) is what it has among all of them.

    Source: Vedantam et al. 2015, "CIDEr: consensus-based image description evaluation".

    Args:
        tokenizer: `words` brings texts to lower case and takes their punctuation away, see `words`;
            `ptb` is the Penn Treebank's, by which published figures of COCO and NoCaps are
            computed, and needs Java. Compare within one of the two.
        by_group: give the figure of each group (`EvaluationSample.groups`) too, over its own
            references.

    Raises:
        ConfigError: if pycocoevalcap isn't installed, or Java, where it is needed.
    """

    needs = ("references",)
    least = 2  # a word that stands in the references of every sample tells nothing

    def __init__(self, tokenizer: str = "words", by_group: bool = False) -> None:
        if tokenizer not in ("words", "ptb"):
            raise ConfigError(f"tokenizer is {tokenizer!r}; give words or ptb")
        if tokenizer == "ptb" and not has_java():
            raise ConfigError("the tokenizer ptb needs Java, and there is no `java`; give words")
        self.tokenizer, self.by_group = tokenizer, by_group
        self.corpus: _Corpus | None = None
        self.corpus_digest = ""  # a text that tells it from another
        self.texts: list[list[str]] = []  # of each sample the reply, then its references
        self.groups: list[tuple[str, ...]] = []
        try:
            from pycocoevalcap.cider.cider_scorer import CiderScorer
        except ModuleNotFoundError as error:
            raise ConfigError(
                "CIDEr needs the package pycocoevalcap; pip install 'anymodal[eval]'"
            ) from error
        self.scorer: Any = CiderScorer

    def of_single_replies(self, samples: Sequence[EvaluationSample]) -> Cider:
        """CIDEr-D of one reply at a time, with the words' weights of all samples' references.

        Raises:
            ConfigError: for fewer than two samples with references.
        """
        self.check(samples)
        references = [[*sample.references] for sample in samples if self.takes(sample)]
        single = Cider(self.tokenizer)
        single.corpus = _Corpus(self._document_frequency(references), len(references))
        single.corpus_digest = hashlib.sha256(json.dumps(references).encode()).hexdigest()[:16]
        return single

    def _document_frequency(self, references: list[list[str]]) -> dict[tuple[str, ...], float]:
        scorer = self.scorer()
        for several in self._words(references):
            scorer += ("", several)
        scorer.compute_doc_freq()
        return dict(scorer.document_frequency)

    def _update(self, sample: EvaluationSample, reply: Message) -> bool:
        self.texts.append([reply.text, *sample.references])
        self.groups.append(sample.groups if self.by_group else ())
        return True

    def _compute(self) -> dict[str, float]:
        texts = self._words(self.texts)
        return {
            key: self._score([texts[place] for place in places])
            for key, places in self._places().items()
        }

    def sizes(self) -> dict[str, int]:
        return {key: len(places) for key, places in self._places().items()}

    def _places(self) -> dict[str, list[int]]:
        """The samples of each figure, of which there are enough for one."""
        parts = {"cider": [*range(len(self.texts))]}
        for place, groups in enumerate(self.groups):
            for name in dict.fromkeys(groups):
                parts.setdefault(f"cider, {name}", []).append(place)
        least = self.least if self.corpus is None else 1
        return {key: places for key, places in parts.items() if len(places) >= least}

    def _words(self, texts: list[list[str]]) -> list[list[str]]:
        if self.tokenizer == "words":
            return [[plain(text) for text in several] for several in texts]
        return _treebank(texts)

    def _score(self, texts: list[list[str]]) -> float:
        scorer = self.scorer()
        for reply, *references in texts:
            scorer += (reply, references)
        if self.corpus is None:
            return float(scorer.compute_score()[0])
        scorer.document_frequency.update(self.corpus.document_frequency)
        # The library takes the number of samples from the references that it holds.
        scorer.crefs += [[]] * (self.corpus.num_samples - len(texts))
        return float(sum(scorer.compute_cider()) / len(texts))


@dataclass(frozen=True)
class _Corpus:
    """In how many of some samples' references runs of words stand; copies of it are itself."""

    document_frequency: Mapping[tuple[str, ...], float]
    num_samples: int

    def __deepcopy__(self, memo: object) -> _Corpus:
        return self


def has_java() -> bool:
    """Return whether `java` can be called, which the Penn Treebank's tokenizer needs."""
    return shutil.which("java") is not None


def _treebank(texts: list[list[str]]) -> list[list[str]]:
    """Texts as words of the Penn Treebank with a space between them, without punctuation."""
    from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

    captions = {n: [{"caption": text} for text in many] for n, many in enumerate(texts)}
    tokens: dict[int, list[str]] = PTBTokenizer().tokenize(captions)
    return [tokens[n] for n in range(len(texts))]
