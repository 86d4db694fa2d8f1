"""Names of objects in texts, with their synonyms, as CHAIR and POPE look for them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from anymodal.config import ConfigError
from anymodal.metrics.words import words

_DOUBLED = ("sses", "shes", "ches", "xes", "zes")


class Mention(NamedTuple):
    """An object that a text names.

    Attributes:
        name: of the object.
        word: as the text has it.
    """

    name: str
    word: str


class ObjectNames:
    """Objects by their names and synonyms.

    A line of a file has an object's name and its synonyms, with commas between them, as the
    `synonyms.txt` of CHAIR's authors does (Rohrbach et al. 2018, arXiv:1809.02156); `#` begins a
    comment. Names may have several words, of which the longest count: with "hot dog" as a name of
    its own, and "baby bird" among the synonyms of bird, neither names a dog or a baby. Case and a
    regular plural don't count.

    Args:
        lines: of such a file.

    Raises:
        ConfigError: if there are no names, or one stands for two objects.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        self.by_words: dict[tuple[str, ...], str] = {}
        for line in lines:
            names = [name.strip() for name in line.partition("#")[0].split(",")]
            names = [name for name in names if words(name)]
            for name in names:
                key = tuple(map(singular, words(name)))
                if self.by_words.setdefault(key, names[0]) != names[0]:
                    raise ConfigError(
                        f"the synonym {name!r} is of {self.by_words[key]!r} and of {names[0]!r}; "
                        "leave it with one of them"
                    )
        if not self.by_words:
            raise ConfigError("there are no names of objects; write one a line, with its synonyms")
        self.longest = max(map(len, self.by_words))

    @classmethod
    def from_file(cls, path: str | Path) -> ObjectNames:
        """The objects of a file.

        Raises:
            ConfigError: if it isn't there, or see the class.
        """
        path = Path(path)
        if not path.is_file():
            raise ConfigError(f"there is no file of synonyms at {path}; write an object a line")
        try:
            return cls(path.read_text("utf-8-sig").splitlines())
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from error

    def mentions(self, text: str) -> list[Mention]:
        """The objects that a text names, in order and as often as it names them."""
        text_words = words(text)
        keys = [singular(word) for word in text_words]
        found, place = list[Mention](), 0
        while place < len(keys):
            size = self._size_at(keys, place)
            if size:
                name = self.by_words[tuple(keys[place : place + size])]
                found.append(Mention(name, " ".join(text_words[place : place + size])))
            place += size or 1
        return found

    def names_in(self, texts: Iterable[str]) -> list[str]:
        """The objects that some texts name, each once, in the order in which they come."""
        return list(dict.fromkeys(each.name for text in texts for each in self.mentions(text)))

    def _size_at(self, keys: Sequence[str], place: int) -> int:
        """The number of words of the longest name at a place; 0 where there is none."""
        sizes = range(min(self.longest, len(keys) - place), 0, -1)
        return next((n for n in sizes if tuple(keys[place : place + n]) in self.by_words), 0)


def singular(word: str) -> str:
    """A word without a regular plural's ending: "boxes" is "box", "berries" is "berry".

    Names and texts are both read by it, so that it doesn't matter where it is wrong; irregular
    plurals ("people") belong into the file.
    """
    if word.endswith("ies") and len(word) > 4:
        return f"{word[:-3]}y"
    if word.endswith(_DOUBLED):
        return word[:-2]
    if word.endswith("s") and not word.endswith(("ss", "us", "is")) and len(word) > 3:
        word = word[:-1]
    # "buse" is of "bus", which keeps its s; "house" goes with it.
    return word[:-1] if word.endswith(("use", "ise")) else word
