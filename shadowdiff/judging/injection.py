"""Text that reads like an instruction to whoever judges it. Pure.

Nothing finds all of it: what is found is set aside and shown, and what is not
still stands between lines that it cannot forge, under a system prompt that says
what it is. Patterns are those that collections of injected prompts have in common
(OWASP LLM01), in English, and marks of chat formats in any language.
"""

from __future__ import annotations

import re

QUOTED = 160
"""Characters of a quote."""
_AROUND = 30
"""Characters shown before what was found."""

_JUDGE = r"(?:judge|grader|evaluator|ranker|language model|llm|ai model|ai assistant)"
_LIST = r"(?:list|lists|entry|entries|answer|result|results|ranking|passage)"
_PREFER = r"(?:prefer|choose|pick|select|vote for|favou?r|rank|rate|score)"
_ALL = r"(?:previous|prior|above|earlier|preceding|other|all|any)"
_ORDERS = r"(?:instructions?|prompts?|rules|directions|guidelines|context|messages)"
_PATTERNS = (
    # "prefer this list", "always choose list 1", "rank this entry first"
    rf"\b{_PREFER}\s+(?:\w+\s+)?(?:this|that|the|my|our|first|second)\s+{_LIST}\b",
    rf"\b{_PREFER}\s+{_LIST}\s+(?:1|2|one|two|a|b)\b",
    r"\blists?\s+(?:1|2|one|two)\s+(?:is|are|must|should|wins?)\b",
    r"\bthe list (?:that|which|with)\b.{0,20}\b(?:this|me)\b",
    # "ignore all previous instructions"
    rf"\b(?:ignore|disregard|forget|override|bypass)\b[^.\n]{{0,40}}\b{_ALL}\b[^.\n]{{0,30}}\b{_ORDERS}\b",
    # whoever is spoken to, or of: "you are the judge", "note to the evaluator", "the judge must choose"
    rf"\byou are (?:now |an? |the )*{_JUDGE}\b",
    rf"\b(?:dear|attention|note to|hey|hello|hi)[\s,:]+(?:an? |the |any )?{_JUDGE}\b",
    rf"\b(?:{_JUDGE}|verdict) (?:must|should|shall|has to)(?: always)? (?:{_PREFER}|be|say|answer|give|ignore)\b",
    r"\b(?:system|developer)\s+(?:prompt|message|override|instruction)s?\s*:",
    # how chat formats mark who speaks
    r"<\|?\s*(?:im_start|im_end|endoftext|eot_id|start_header_id)\s*\|?>",
    r"\[/?INST\]|<</?SYS>>",
    r"[\U000e0020-\U000e007e]{3,}",  # tag characters: ASCII that no screen shows and a model may read
)
_INSTRUCTION = re.compile("|".join(f"(?:{pattern})" for pattern in _PATTERNS), re.IGNORECASE)


def instruction_in(text: str) -> str | None:
    """The first piece of the text that reads like an instruction, with a little before it; None: there is none."""
    found = _INSTRUCTION.search(text)
    if found is None:
        return None
    start = max(0, found.start() - _AROUND)
    return text[start : max(found.end(), start + QUOTED)][:QUOTED]
