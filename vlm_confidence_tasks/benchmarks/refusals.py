"""Whether an answer refuses: it says that it cannot or will not answer."""

import re
from collections.abc import Sequence

from vlm_confidence_tasks.benchmarks.answer_words import Mention

# Words as data, one alternative per line; `_IMAGE` is what was to be looked at.
_IMAGE = (
    r"(?:images?|pictures?|photos?|photographs?|screenshots?|figures?|attachments?|files?|"
    r"visual (?:content|input))"
)
_THE = r"(?:(?:the|your|this|that|these|those|an?|any|such|attached|uploaded|provided|actual)[ ]+)*"
# "I can't see the image." is none of "I can't see the image of a dog on the wall."
_ALONE = (
    r"(?=[ ]*(?:\Z|[^\w ]|(?:you|attached|provided|uploaded|here|in (?:your|this|the) (?:message|"
    r"chat|conversation|prompt|question)|so|and|or|because|since|as|but|directly|itself|"
    r"with your|at all|to (?:answer|analy[sz]e|look))\b))"
)
_CANNOT = (
    r"\b(?:(?:cannot|can['\u2019]?t|can not|couldn['\u2019]t|could not|won['\u2019]t|will not|"
    r"(?:unable|not able|not allowed|not permitted|not possible|impossible) to|decline to|"
    r"(?:do not|don['\u2019]t|does not|doesn['\u2019]t) have (?:the ability|access) to|"
    r"no way (?:to|of))[ ]+(?:(?:\w+ly|really|be able to|even|help but)[ ]+)?)"
)
_GIVEN = r"(?:provided|attached|uploaded|included|given|shared|supplied|received|sent)"
_CHINESE_IMAGE = r"(?:图片|图像|照片|图|圖片|圖像|圖)"
_CHINESE_CANNOT = (
    r"(?:无法|無法|不能|没法|沒法|没办法|沒辦法|未能|不便)(?:直接|准确|準確|明确|明確)?"
)

# Refusals to look or to help, and requests for the image that was there.
_WILL_NOT = (
    rf"{_CANNOT}(?:answer|respond|reply|help|assist|comply|fulfil+|engage|participate)\b",
    rf"{_CANNOT}(?:provide|give|offer|make)[ ]+(?:\w+[ ]+){{0,3}}(?:answer|response|analysis|"
    r"assistance|assessment|determination|judgment)\b",
    rf"{_CANNOT}(?:see|view|access|open|display|load|process|analy[sz]e|interpret|read|inspect)"
    rf"[ ]+{_THE}{_IMAGE}{_ALONE}",
    r"(?:^|[.!?\n])[ ]{0,3}no[ ]+images?(?:[ ]+(?:found|here|available))?[ ]*(?=[.!,]|\Z)",
    r"(?:^|[.!?\n])[ ]{0,3}no[ ]+(?:attachments?|files?)(?:[ ]+found)?[ ]*(?=[.!,]|\Z)",
    rf"\bno[ ]+{_IMAGE}[ ]+(?:came through|(?:(?:was|were|has|have)[ ]+)?(?:been[ ]+)?loaded)\b",
    rf"\b{_IMAGE}[ ]+(?:(?:has|have)[ ]+)?failed to (?:load|upload|open)\b",
    r"\bviolat(?:es?|ed|ing)[ ]+(?:\w+[ ]+){0,3}(?:polic(?:y|ies)|guidelines)\b",
    rf"\bno[ ]+{_IMAGE}[ ]+(?:(?:is|was|were|are|has|have|had|been|seems to be)[ ]+)*{_GIVEN}\b",
    rf"\bno[ ]+{_IMAGE}[ ]+(?:here|available|visible to me|to (?:look at|analy[sz]e|see))\b",
    rf"{_CANNOT}(?:make out|see)[ ]+(?:anything|what is)\b",
    rf"\b(?:do not|don['\u2019]t|does not|doesn['\u2019]t) have access to[ ]+{_THE}{_IMAGE}"
    rf"{_ALONE}",
    rf"\b{_IMAGE}[ ]+(?:(?:is|was|were|are|has|have|been|seems to be|appears to be)[ ]+)*"
    rf"(?:(?:not|never)[ ]+(?:been[ ]+)?(?:{_GIVEN}|loaded|displayed)|missing\b(?=[ ]*[^\w ]|\Z))",
    rf"\b{_IMAGE}[ ]+(?:was|were|is|are|has|have)n['\u2019]t[ ]+(?:been[ ]+)?(?:{_GIVEN}|loaded)\b",
    rf"\b(?:did not|didn['\u2019]t|have not|haven['\u2019]t|do not|don['\u2019]t)[ ]+"
    rf"(?:(?:actually|currently)[ ]+)?(?:see|have|receive|{_GIVEN}|provide|attach|upload|include|"
    rf"share)[ ]+{_THE}{_IMAGE}{_ALONE}",
    rf"\b(?:please|kindly|could you|can you|would you|if you|you can)[ ]+(?:\w+[ ]+){{0,2}}"
    rf"(?:upload|provide|attach|share|send|resend|re-?upload|supply|describe)[ ]+(?:\w+[ ]+){{0,4}}"
    rf"(?:{_IMAGE}|it|question|details|context|information)\b",
    rf"{_CHINESE_CANNOT}(?:回答|作答|答复|回應|回应|协助|協助|帮助|幫助|提供(?:答案|帮助|幫助))",
    rf"{_CHINESE_CANNOT}(?:查看|看到|看见|看見|访问|訪問|打开|打開|识别|識別|处理|處理|分析|读取|讀取)"
    rf"(?:这张|這張|该|該|此|您的|你的|任何|到)*{_CHINESE_IMAGE}",
    rf"(?:没有|沒有|未|并未|並未|没|沒)(?:提供|上传|上傳|看到|看见|收到|附上|附|发送|發送|附带)"
    rf"(?:任何|您的|你的|到|相关|相關|的)*{_CHINESE_IMAGE}",
    rf"看不[到见見清](?:这张|這張|该|該|您的|你的|任何)*{_CHINESE_IMAGE}",
    r"[请請](?:您|你)?(?:先|再|重新)?(?:上传|上傳|提供|发送|發送|附上|分享|描述)",
)
# What leaves the question open, without a word on help.
_CANNOT_TELL = (
    rf"{_CANNOT}(?:tell|determine|say|know|judge|decide|ascertain|confirm|conclude|verify|"
    r"(?:identify|name|recogni[sz]e)[ ]+(?:\w+[ ]+){0,2}(?:people|persons?|individuals?|them))\b",
    r"\b(?:cannot|can['\u2019]?t|can not|could not|couldn['\u2019]t)[ ]+be[ ]+(?:\w+ly[ ]+)?"
    r"(?:determined|answered|identified|inferred|known|told|established|verified|confirmed)\b",
    r"\b(?:i|we)(?:[ ]+(?:really|honestly|simply))?[ ]+(?:do not|don['\u2019]t)[ ]+know\b",
    r"(?:^|[.!?,;:\n]|\bhave)[ ]*no (?:idea|clue)\b",
    r"\b(?:not enough|insufficient|no)[ ]+(?:\w+[ ]+)?(?:information|context|evidence|details?)\b",
    rf"{_CHINESE_CANNOT}(?:确定|確定|判断|判斷|得知|辨别|辨別|确认|確認|知道|判定|断定|斷定|看出|得出)",
    r"(?:难以|難以)(?:确定|確定|判断|判斷|确认|確認)",
    r"我(?:也)?(?:不知道|不清楚)|(?:信息|資訊|资讯)不足",
)
# "No, it is impossible to tell."
_NO_THEN = re.compile(
    r"no[^\w\n]{1,4}(?:(?:sorry|unfortunately|i['\u2019]m sorry),?[ ]+)?(?:but[ ]+)?"
    rf"(?:(?:i|it|there|one|we)(?:['\u2019]s|[ ]+(?:is|am|was))?[ ]+)?(?:{'|'.join(_CANNOT_TELL)})",
    re.I,
)
# One pattern each: searched one by one they take a fifth of the time of all in one.
_STRONG = [re.compile(words, re.I) for words in _WILL_NOT]
_WEAK = [re.compile(words, re.I) for words in _CANNOT_TELL]
_FIRST_SENTENCE = re.compile(r"[^.!?\n。！？]*")


def refuses(text: str, closed: bool = True) -> bool:
    """Whether a text that names no label refuses.

    Of an open question's answer only the first sentence counts, and only if it refuses to look
    or to help: a caption may well say what cannot be told of a picture.

    >>> refuses("No image was provided, so I cannot answer."), refuses("There is no dog.")
    (True, False)
    >>> refuses("A dog. Its age cannot be determined.", closed=False)
    False
    """
    if closed:
        return any(words.search(text) for words in (*_STRONG, *_WEAK))
    first = _FIRST_SENTENCE.match(text.lstrip())
    return first is not None and any(words.search(first.group()) for words in _STRONG)


def refuses_at(text: str, word: Mention) -> bool:
    """Whether a refusal begins with a word: "No image was provided"."""
    return any(words.match(text, word.start) for words in _STRONG)


def unrefused(text: str, words: Sequence[Mention]) -> list[Mention]:
    """Return the words that answer, of a text that may refuse.

    The "no" of "No image was provided" and "No, it is impossible to tell" is none of them, nor is
    the "yes" of "Yes, please upload it"; the letter of "D) Cannot be determined" is.
    """
    letters = [word for word in words if word.is_first and not word.says_yes_or_no]
    if any(refusal.search(text) for refusal in _STRONG):
        return letters
    if not any(refusal.search(text) for refusal in _WEAK):
        return list(words)
    return letters + [
        word
        for word in words
        if word not in letters
        and word.begins
        and not word.is_subject
        and not (word.says_yes_or_no and _NO_THEN.match(text, word.start))
    ]
