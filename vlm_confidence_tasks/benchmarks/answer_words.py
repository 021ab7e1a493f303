"""The words of an answer that are labels, with what stands around them."""

import re
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from vlm_confidence_tasks.label_words import OTHER_WORDS

# Chinese is written without spaces: its characters are neither part of a word nor its end.
CHINESE = "\u3400-\u9fff\uf900-\ufaff"
_LETTER = rf"[^\W_{CHINESE}]"
# Contractions, hyphenated words and abbreviations are words: "I'm", "T-shirt", "a.m.".
_LATIN = rf"(?:{_LETTER}\.){{2,}}|{_LETTER}+(?:['\u2019-]{_LETTER}+)*"
# What may stand before a Chinese yes or no in the same clause.
_CHINESE_LEAD = (
    r"(?:(?:所以|因此|故|那么|那麼)?(?:我?(?:认为|認為|觉得|覺得|想|猜))?"
    r"(?:(?:正确|正確|最终|最終)?的?答案(?:应该|應該|应|應)?[是为為])?(?:可能|应该|應該|大概)?)"
)
_CHINESE_WORD = "|".join(word for word in OTHER_WORDS if not word.isascii())
_WORD = re.compile(
    rf"(?P<latin>{_LATIN})|(?=[{CHINESE}])(?<![{CHINESE}]){_CHINESE_LEAD}"
    rf"(?P<chinese>{_CHINESE_WORD})(?![{CHINESE}A-Za-z0-9])"
)
_TAG = re.compile(r"<(/?)([a-z]{1,10})>", re.I)

# Words that follow a letter "I" or "A" and cannot follow a pronoun or an article.
_AFTER_PRONOUN = frozenset("is and or nor but because since".split())
_AFTER_LETTER = _AFTER_PRONOUN | frozenset(
    "rather was isn't shows has looks seems depicts contains "
    "represents displays appears refers does doesn't cannot can't could couldn't would".split()
)
# Words before a letter "A" and never before an article.
_BEFORE_LETTER = frozenset("option choice letter".split())
# Words that a letter belongs to, as part of a name.
_NAMES = frozenset("vitamin hepatitis influenza type plan grade".split())
# Words that follow an answer "no" and are no noun.
_AFTER_NO = _AFTER_PRONOUN | frozenset("as for if in there it this that the i".split())
_NO_ANSWER = frozenset(
    "idea clue doubt way comment answer problem offense offence response information context "
    "thanks thank".split()
)
_VERBS = frozenset(
    "is are was were isn't aren't shows show has have looks look seems seem depicts contains "
    "represents displays appears refers means does doesn't do can cannot can't could couldn't "
    "would will might may must mentions describes says points corresponds gives".split()
)
_CHINESE_VERB = re.compile(r"\s*(?:选项|選項|项|項)?(?:是|为|為|显示|顯示|有|在|代表|表示|指)")
_REASON = frozenset("because since as given due rather instead not".split())
_DEGREE = ("\u00b0", "\u00ba")
_SENTENCE_MARK = re.compile(r"[.!?:\n\u3002]")
_NO_MARK = re.compile(r"[\w,;]")
_CLOSED = re.compile(r"[^\w\s,;:]*[.!?\u3002\n)\]}*]|因为|因為|而|,")


class NamedLabel(NamedTuple):
    """A label, and the part of a text that names it, `text[start:end]`."""

    label: str
    start: int
    end: int


class Mention(NamedTuple):
    """A word of a text that is a label.

    Attributes:
        before: What stands between it and the word before it.
        after: What stands between it and the word after it.
        next: That word, "" if there is none.
        is_first: Whether it is the first word of the text.
    """

    label: str
    start: int
    end: int
    before: str
    after: str
    next: str
    is_first: bool

    @property
    def named(self) -> NamedLabel:
        """The label and its place."""
        return NamedLabel(self.label, self.start, self.end)

    @property
    def says_yes_or_no(self) -> bool:
        """Whether it is an answer that is a word of its own, too."""
        return self.label.casefold() in ("yes", "no")

    @property
    def following(self) -> str:
        """The next word in lower case, "" where a mark or nothing comes before it."""
        return "" if self.after.strip(" \t") or not self.after else self.next.casefold()

    @property
    def begins(self) -> bool:
        """Whether a sentence, or what a colon announces, begins with it."""
        marks = _NO_MARK.split(self.before)[-1]
        if self.is_first and marks == self.before:
            return True
        return _SENTENCE_MARK.search(marks) is not None

    @property
    def stands_alone(self) -> bool:
        """Whether it stands between marks, or the ends of the text."""
        before, after = self.before.rstrip(), self.after.lstrip()
        opened = _is_mark(before[-1:]) or "\n" in self.before[len(before) :]
        closed = _is_mark(after[:1]) or "\n" in self.after[: len(self.after) - len(after)]
        opened = opened or (not before and self.is_first)
        return opened and (closed or not (after or self.next))

    @property
    def has_noun(self) -> bool:
        """Whether a "no" belongs to the word after it: "It is no dog", "No idea"."""
        if self.label.casefold() != "no":
            return False
        if self.begins:
            return self.following in _NO_ANSWER
        return self.following not in {"", *_AFTER_NO}

    @property
    def counts(self) -> bool:
        """Whether it is an answer where it stands; all are but "no" as in "no dog"."""
        if not self.says_yes_or_no:
            return True
        return not self.has_noun if self.begins else self.stands_alone

    @property
    def is_subject(self) -> bool:
        """Whether a sentence says something of it: "A shows a dog", not "(D) Cannot tell"."""
        if self.says_yes_or_no:
            return False
        if _CHINESE_VERB.match(self.after):
            return True
        return not re.search(r"[.,;:!?\n\u3002]", self.after) and self.next in _VERBS

    @property
    def is_closed(self) -> bool:
        """Whether a clause ends with it, or a reason follows."""
        if self.is_subject:
            return False
        after = self.after.lstrip(" \t")
        if not self.next and not any(map(str.isalnum, after)):
            return True
        return self.following in _REASON or _CLOSED.match(after) is not None


def mentions(text: str, labels: Sequence[str]) -> list[Mention]:
    """Return the words of a text that are labels in any case, without articles and units.

    "A" and "I" before another word are words, not letters of options; "\u00b0C" is a unit, "<b>"
    a tag.
    """
    by_name = {label.casefold(): label for label in labels}
    found = []
    for before, span, after in _words(text):
        word = text[slice(*span)].casefold()
        label = by_name.get(OTHER_WORDS.get(word, word))
        if label is None:
            continue
        gaps = text[before[1] : span[0]], text[span[1] : after[0]]
        mention = Mention(label, *span, *gaps, text[slice(*after)], before[1] == 0)
        word = text[slice(*before)].casefold()
        if word in _NAMES and gaps[0] == " " and not mention.says_yes_or_no:
            continue
        if not gaps[0].endswith(_DEGREE) and (
            word in _BEFORE_LETTER or not _is_article(mention, by_name)
        ):
            found.append(mention)
    return found


def _words(text: str) -> Iterator[tuple[tuple[int, int], ...]]:
    """Yield the places of each word, with those of the words before and after it."""
    tags = _tags(text)
    spans = (found.span(found.lastgroup or 0) for found in _WORD.finditer(text))
    words = [span for span in spans if span[0] not in tags]
    ends = (0, 0), (len(text), len(text))
    return zip([ends[0], *words], words, [*words[1:], ends[1]], strict=False)


def _tags(text: str) -> set[int]:
    """Return where the names of tags begin that are opened and closed: "<b>yes</b>"."""
    found = list(_TAG.finditer(text))
    opened, closed = ({tag[2] for tag in found if bool(tag[1]) is end} for end in (False, True))
    return {tag.start(2) for tag in found if tag[2] in opened & closed}


def _is_article(mention: Mention, names: Collection[str]) -> bool:
    """Whether a letter is the article "a" or the pronoun "I", by the word after it."""
    if mention.label.casefold() not in ("a", "i"):
        return False
    known = _AFTER_LETTER if mention.label in ("a", "A") else _AFTER_PRONOUN
    return bool(mention.following) and mention.following not in known.union(names)


def _is_mark(character: str) -> bool:
    return bool(character) and not character.isspace() and not character.isalnum()
