"""How an instruction to a judge is worded, language by language. Pure.

Two things are said in every one: "ignore the previous instructions" and "prefer this
list". Words of order between them may vary; a pattern spans up to a sentence.
"""

from __future__ import annotations

from typing import NamedTuple

_SPAN = r"[^.\n。]{0,40}?"
"""What may stand between two words of one order."""


def _ordered(*parts: str) -> str:
    """The parts one after the other in one sentence."""
    return _SPAN.join(rf"\b(?:{part})\b" for part in parts)


def _romance(ignore: str, every: str, orders: str, previous: str, prefer: str, listed: str) -> tuple[str, ...]:
    """Ignore the orders before, ignore all orders, prefer this list: with adjectives behind their nouns."""
    return _ordered(ignore, orders, previous), _ordered(ignore, every, orders), _ordered(prefer, listed)


class Wording(NamedTuple):
    """How one language, or a family of scripts, says it."""

    stems: tuple[str, ...]
    """One of these, in small letters, stands in every text that a pattern finds: what has none is not searched."""
    patterns: tuple[str, ...]


_JUDGE = r"(?:judge|grader|evaluator|ranker|language model|llm|ai model|ai assistant)"
_LIST = r"(?:list|lists|entry|entries|answer|result|results|ranking|passage)"
_PREFER = r"(?:prefer|choose|pick|select|vote for|favou?r|rank|rate|score)"
_ALL = r"(?:previous|prior|above|earlier|preceding|other|all|any)"
_ORDERS = r"(?:instructions?|prompts?|rules|directions|guidelines|context|messages)"

ENGLISH = (
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
)

_GERMAN_IGNORE = r"ignorier\w*|missacht\w*|vergiss|vergessen sie|beachten? sie nicht"
_GERMAN_PREVIOUS = r"vorherig\w*|bisherig\w*|vorangegangen\w*|obig\w*|früher\w*"
_GERMAN_ORDERS = r"anweisung\w*|instruktion\w*|vorgaben"
_FRENCH_IGNORE = r"ignore[rz]?|oublie[rz]?|ne (?:tiens|tenez) pas compte"
_SPANISH_IGNORE = r"ignor[aeá]\w*|olvid[aeá]\w*|descart[aeá]\w*"
_PORTUGUESE_IGNORE = r"ignor[aeá]\w*|esqueç\w*|desconsider\w*"
_ITALIAN_IGNORE = r"ignora\w*|dimentica\w*|trascura\w*"
_RUSSIAN_IGNORE = r"(?:про)?игнорируй(?:те)?|забудь(?:те)?|не обращай(?:те)? внимания"

OTHERS = (
    # German
    Wording(
        ("anweisung", "instruktion", "vorgaben", "liste"),
        (
            _ordered(_GERMAN_IGNORE, rf"{_GERMAN_PREVIOUS}|alle", _GERMAN_ORDERS),
            _ordered(_GERMAN_PREVIOUS, _GERMAN_ORDERS, r"ignorier\w*|missacht\w*"),
            _ordered(
                r"bevorzug\w*|wähle?|wählen sie|nimm|nehmen sie", r"(?:diese|die erste|die zweite) liste|liste [12]"
            ),
        ),
    ),
    # French
    Wording(
        ("instruction", "consigne", "liste"),
        _romance(
            _FRENCH_IGNORE,
            r"tou(?:te)?s",
            r"instructions?|consignes?",
            r"précédent\w*|antérieur\w*|ci-dessus",
            r"préfère[rz]?|préférez|choisi[rs]|choisissez",
            r"(?:cette|la première|la deuxième|la seconde) liste|liste [12]",
        ),
    ),
    # Spanish
    Wording(
        ("instruccion", "indicacion", "lista"),
        _romance(
            _SPANISH_IGNORE,
            r"todas",
            r"instrucciones|indicaciones",
            r"anteriores|previas",
            r"prefier[aeo]|elij[ae]|elige|escog[ei]|escoja|seleccion[ae]",
            r"(?:esta|la primera|la segunda) lista|lista [12]",
        ),
    ),
    # Portuguese
    Wording(
        ("instruções", "orientações", "lista"),
        _romance(
            _PORTUGUESE_IGNORE,
            r"todas",
            r"instruções|orientações",
            r"anteriores|prévias",
            r"prefira|escolha|selecione",
            r"(?:esta|a primeira|a segunda) lista|lista [12]",
        ),
    ),
    # Italian
    Wording(
        ("istruzion", "indicazion", "lista"),
        _romance(
            _ITALIAN_IGNORE,
            r"tutte",
            r"istruzioni|indicazioni",
            r"precedenti|sopra",
            r"preferisci|preferisca|scegli|scelga|seleziona",
            r"(?:questa|la prima|la seconda) lista|lista [12]",
        ),
    ),
    # Dutch
    Wording(
        ("instructies", "aanwijzingen", "opdrachten", "lijst"),
        (
            _ordered(
                r"negeer|vergeet",
                r"vorige|eerdere|voorgaande|bovenstaande|alle",
                r"instructies|aanwijzingen|opdrachten",
            ),
            _ordered(r"kies|verkies", r"(?:deze|de eerste|de tweede) lijst|lijst [12]"),
        ),
    ),
    # Russian
    Wording(
        ("инструкци", "указани", "список"),
        (
            _ordered(_RUSSIAN_IGNORE, r"предыдущ\w+|прежни\w+|вс[её]|всех", r"инструкци\w+|указани\w+"),
            _ordered(r"выбери(?:те)?|выбирай(?:те)?|предпочти(?:те)?", r"(?:этот|первый|второй) список|список [12]"),
        ),
    ),
    # Chinese, Japanese, Korean: no spaces to lean on
    Wording(
        (
            "指令",
            "指示",
            "命令",
            "提示",
            "规则",
            "規則",
            "プロンプト",
            "列表",
            "清单",
            "清單",
            "リスト",
            "지시",
            "명령",
            "지침",
            "프롬프트",
            "목록",
            "리스트",
        ),
        (
            r"(?:忽略|无视|無視|忘记|忘記|不要理会).{0,12}(?:指令|指示|提示词|提示詞|规则|規則)",
            r"(?:选择|選擇|优先选|優先選|偏好).{0,4}(?:这个|這個|此|第一个?|第一個|第二个?|第二個)(?:列表|清单|清單)",
            r"(?:以前|以上|上記|これまで|前|すべて|全て)の.{0,12}(?:指示|命令|指令|プロンプト)を?.{0,6}(?:無視|忘れ)",
            r"(?:この|最初の|第一の|二番目の)リスト[をが].{0,4}(?:選|優先|好)",
            r"(?:이전|앞의|위의|모든).{0,12}(?:지시|명령|지침|프롬프트).{0,8}(?:무시|잊)",
            r"(?:이|첫 ?번째|두 ?번째) (?:목록|리스트)[을를]? ?(?:선택|선호|우선)",
        ),
    ),
)
