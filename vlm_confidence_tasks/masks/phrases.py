"""The things that a yes/no question names, by rule."""

import re

_DETERMINER = r"(?:the|an?|any|some|only one|one|two|three|four|five|six|seven|eight|nine|ten)"
# Of POPE's questions some say "imange".
_IMAGE = re.compile(r"\s*\b(?:in|on) th(?:e|is) (?:image|imange|picture|photo)$", re.I)
_CONTACT = re.compile(r"^is there (?:any )?(?:direct )?contact between (.+?) and (.+)$", re.I)
_THERE = re.compile(r"^(?:is|are) there (.+)$", re.I)
_STATE = re.compile(r"^(is|are|does|do|has|have) (?:the |an? )?(.+)$", re.I)
_LEADING = re.compile(rf"^(?:{_DETERMINER} )+", re.I)
# What a predicate begins with: an -ing form, a preposition, or what a verb takes.
_PREDICATE = re.compile(
    r" (?:\w+ing|to|in|on|at|under|above|below|behind|beside|near|next|with|over|by|of|from|"
    r"into|onto|between|inside|outside|around|across|along|against|through|"
    rf"{_DETERMINER}|his|her|its|their)\b.*$",
    re.I,
)
_SECOND = re.compile(r" to the (?:left|right) of (.+)$", re.I)
_NOUNS_IN_ING = frozenset({"building", "ceiling", "painting", "railing", "ring", "string", "wing"})
_IRREGULAR = {
    "people": "person",
    "men": "man",
    "women": "woman",
    "children": "child",
    "feet": "foot",
    "teeth": "tooth",
    "geese": "goose",
    "mice": "mouse",
    "leaves": "leaf",
    "knives": "knife",
    "shelves": "shelf",
    "shoes": "shoe",
    "skis": "ski",
}
_UNCHANGED = frozenset({"scissors", "pants", "shorts", "jeans", "sunglasses", "grass", "bus"})


def phrases(question: str) -> tuple[str, ...]:
    """Return the things that a yes/no question names, in the singular and in lower case.

    Existence and number: what follows "there". Relation: both things. State and action: the
    subject, which ends where a preposition, an article or an -ing form begins the predicate; a
    predicate of one word ("red", "stand") is the last word. A verb with a bare object ("the man
    plays football") is not told from a noun. () for a question of another form; the question is
    without an answer instruction. Source: the question forms of POPE and AMBER.

    >>> phrases("Is there a dining table in the image?")
    ('dining table',)
    >>> phrases("Are there two crosses in this image?")
    ('cross',)
    >>> phrases("Is there direct contact between the beach and umbrella in this image?")
    ('beach', 'umbrella')
    >>> phrases("Is the tall man riding a bike in this image?"), phrases("Is the sky blue?")
    (('tall man',), ('sky',))
    """
    asked = _IMAGE.sub("", " ".join(question.split()).rstrip("?. "))
    if found := _CONTACT.match(asked):
        return tuple(map(_noun, found.groups()))
    if found := _THERE.match(asked):
        return (_noun(found[1]),)
    found = _STATE.match(asked)
    if found is None:
        return ()
    subject = _subject(found[2], verb_is_left=found[1].lower() in ("does", "do"))
    second = _SECOND.search(asked)
    return tuple(map(_noun, filter(None, (subject, second and second[1]))))


def _subject(words: str, verb_is_left: bool) -> str:
    """Cut the predicate off: "sky blue" -> "sky", "man sit on the chair" -> "man"."""
    subject = words
    for match in re.finditer(r" \S+", words):
        word = match[0].strip().lower()
        if word not in _NOUNS_IN_ING and _PREDICATE.match(words[match.start() :]):
            subject = words[: match.start()]
            break
    whole = subject == words
    if (whole or verb_is_left) and " " in subject:
        subject = subject.rsplit(" ", 1)[0]
    return subject


def _noun(words: str) -> str:
    """Take the determiner off and the plural of the last word.

    >>> _noun("the two wine glasses"), _noun("A horse"), _noun("horses"), _noun("benches")
    ('wine glass', 'horse', 'horse', 'bench')
    """
    *before, last = _LEADING.sub("", words.strip()).lower().split()
    return " ".join((*before, _singular(last)))


def _singular(noun: str) -> str:
    if noun in _IRREGULAR:
        return _IRREGULAR[noun]
    if noun in _UNCHANGED or not noun.endswith("s") or noun.endswith(("ss", "us", "is")):
        return noun
    for ending, instead in (("ies", "y"), ("oes", "o")):
        if noun.endswith(ending):
            return noun.removesuffix(ending) + instead
    return noun.removesuffix("es" if re.search(r"(?:ss|x|ch|sh|us)es$", noun) else "s")
