r"""How answers state what they answer, in words: English and Chinese, as data.

A cue in front of a label ends where the label must begin: its words, then words and marks that
may stand between, as in "the answer is **most likely** \( \boxed{". No pattern repeats a part
without a limit but characters of which each can be matched in one way: reading stays linear.
"""

import re

from vlm_confidence_tasks.benchmarks.answer_words import CHINESE

# Letters and digits end a word, Chinese characters and underscores do not.
_BEGIN, _END = rf"(?<![^\W_{CHINESE}])", rf"(?![^\W_{CHINESE}])"


def _words(*alternatives: str) -> str:
    return rf"{_BEGIN}(?:{'|'.join(alternatives)}){_END}"


# Between a cue and its label: markup, words that say nothing else, and marks.
_GAP = "|".join(
    (
        r"\\[a-z]{2,}",
        r"</?(?:b|i|u|em|strong|p|answer)>(?=[^<>\n]{1,40}</)",
        _words("the|option|choice|letter|answer|number|statement|therefore|thus|hence|then"),
        _words(r"indeed|now|just|most|likely|still|also|again|in fact|\w{1,20}ly"),
        _words(r"an?(?=[ ]{1,3}[*\"']{0,3}(?:yes|no)\b)"),
        "选项|選項|为|為|选(?!项)|選(?!項)",
        # As long as it is no label: "答案是：是".
        r"是(?=\s{0,3}[:\"\u201c(\u300c\u3010*A-Za-z\\<是否不没沒有对對选選])",
        r"[^\w.]|_",
    )
)
_CLAUSE = r"(?:^|[.,;:!?\n][ ]{0,3}|\bbut[ ]{1,3})[^\w\n]{0,6}"
_NOT_YES_NO = r"(?!(?:\W{1,9}\w{1,20}ly){0,2}\W{0,9}(?:yes|no)\b)"
_IT = r"(?:it|this|that)(?:['\u2019]s|[ ](?:is|(?:must|should|would|has to) be))"
_IT_IS = rf"(?:[ ,]{{1,3}}(?:that )?{_IT}{_NOT_YES_NO})?"

_NOUN = r"(?<!/)(?<!/final_)" + _words(
    "answer|ans|choice|option|selection|pick|guess|conclusion|response",
    "(?:correct|right|best) (?:one|letter|statement|description)",
)
_KIND = "(?:the|my|our|your|final|correct|right|best|corrected|updated)"
# What may stand between "answer" and "is", and what "is" may be.
_OF = (
    r"(?:[ ](?:choice|option|letter))?"
    r"(?:[ ](?:to|for)[ ][\"\u201c][^\"\u201d\n]{0,160}[\"\u201d]"
    r"|[ ](?:to|for|in|of|here|that|which|i|we)\b[^.:;\n]{0,80}?|,[^.:;\n]{0,60}?,)?"
)
_IS = (
    r"(?:['\u2019]s|\s{1,3}(?:is|was|remains|becomes"
    rf"|(?:would|should|must|will|seems to|appears to|has to|ought to) be)){_END}"
)
_SIGN = r"[^\w\s.]*_*[ ]*(?:[:=>\u2192|]|-+>?[ ])"
_CHOOSES = (
    rf"{_BEGIN}(?:i|we|let['\u2019]s|let me)"
    r"(?:['\u2019](?:d|ll|m)|[ ](?:would|will|must|shall|should|can|am))?"
    r"[ ](?:\w{1,20}ly[ ]|have[ ]to[ ])?"
)

# The label behind one of these is the answer, whatever follows.
_STATED = (
    _NOUN + _OF + _IS,
    _NOUN + _SIGN,
    rf"(?:^|\n)[^\w\n]*(?:{_KIND}[ ]){{0,3}}{_NOUN}[^\w\n]*\n",
    rf"{_BEGIN}ans\.",
    r"\\f?boxed",
    _CHOOSES + _words("choose|pick|select|go (?:for|with)|opt for|settle on|answer|say"),
    _CHOOSES + _words("(?:choos|pick|select|go)ing(?: for| with)?|lean(?:ing)? towards?"),
    _CHOOSES + _words("inclined to say|conclude(?: that)?"),
    rf"(?:^|[.!?\n][ ]{{0,3}})only{_END}",
    "答案(?:应该|應該|应|應|就|则|則|当然|很?可能){0,3}",
    "(?:正确|正確|最佳|最好)的?(?:选项|選項|选择|選擇)",
    "(?<!不)(?:正确|正確)的(?=[应應]?该?該?[是为為])(?:[应應]该?該?)?",
    "(?<![不别勿])(?<!不[应應能会會])(?:选择|選擇|选|選)(?!项|項)",
    "(?<!不)(?:应该?|應該?)[是为為]",
)
# The label behind one of these is, if a clause ends with it: not in "so B shows a dog".
_CONCLUDED = (
    _words("so|thus|therefore|hence|consequently|in conclusion|in short|in summary|overall"),
    _words("to sum up|finally|that leaves|leaving(?: only)?"),
    _words("actually|correction|or rather|i mean|make that|on second thought"),
    _words("wait|hmm") + r"(?:[ ,.]{1,5}(?:actually|no(?=[ ,.]{1,3}\(?[a-z]\b))){0,2}",
    rf"{_BEGIN}(?:i|we)[ ](?:\w{{1,20}}ly[ ])?" + _words("think|believe|guess|suppose|feel|reckon"),
    _CLAUSE + _IT + _NOT_YES_NO + _END,
    _CLAUSE + _words(r"(?:most |very |quite )?likely|\w{1,20}ly|oh|well|of course|for sure"),
    _CLAUSE + r"(?:based on|upon)[ ][^.,;:\n]{1,60}",
    # "A? No, B."
    _CLAUSE + r"no(?=[ ,]{1,3}\(?[a-z]\b)",
    "所以|因此|故|综上(?:所述)?|綜上(?:所述)?|总之|總之|于是|而是|更正",
    "我?(?:觉得|覺得|认为|認為|猜|想)",
)
# The label behind one of these may be; all such labels must agree.
_SUPPOSED = (
    _CLAUSE + _words("maybe|perhaps|possibly"),
    _words(r"(?:answer|it|this|that|option|choice) (?:could|might|may) (?:\w{1,20}ly )?be"),
    "可能|大概|也许|也許",
)
_OPTION = (r"\b(?:option|choice)\b", "选项|選項")
# What follows a label that is the answer.
_MARKS = r"[^\w\s.,;:!?]{0,4}"
_RIGHT = (
    rf"{_MARKS}[ ](?:is|(?:would|must|should|seems to|has to) be|seems)[ ]"
    "(?:(?:indeed|clearly|therefore|thus|most likely|probably|definitely|the only|in fact)[ ])?"
    r"(?:(?:correct|right|true)(?=[ ]{0,3}(?:\Z|[^\w ]|(?:because|since|as|here|and)\b))"
    r"|(?:the|my|an?)[ ](?:final[ ])?(?:(?:most[ ])?\w{1,20}[ ])?"
    r"(?:answer|choice|option|one|match)\b)",
    rf"{_MARKS}[ ]?(?:选项|選項|项|項)?(?:[是为為]|才是)?(?:唯一)?(?:正确|正確|对|對)"
    "(?:的|答案|选项|選項){0,2}",
    rf"{_MARKS}[ ]?[是为為](?:本题的?|最佳|最终|最終)?答案",
)
# What only supposes the label behind it in the same clause.
_CONDITION = (
    r"\b(?:if|whether|suppose|assuming|unless|may think|might think|might seem|thought|which of)\b",
    "如果|假如|假设|假設|是否|若",
)


def _any(*alternatives: str, end: str = "") -> re.Pattern[str]:
    return re.compile(rf"(?:{'|'.join(alternatives)}){end}", re.I)


stated = _any(*_STATED, end=f"(?:{_GAP})*")
concluded = _any(*_CONCLUDED, end=f"{_IT_IS}(?:{_GAP})*")
supposed = _any(*_SUPPOSED, end=f"(?:{_GAP})*")
option = _any(*_OPTION, end=f"(?:{_GAP})*")
right = _any(*_RIGHT)
condition = _any(*_CONDITION)
