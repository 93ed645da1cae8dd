"""Data by which a person can be reached or robbed: each format checked as far as it can be."""

import re
import string
from dataclasses import dataclass
from itertools import compress
from typing import TYPE_CHECKING, ClassVar

from curate.filtering.noticing import Noticed, any_turn, noticed_frame
from store.errors import BadSettings, UnknownName

if TYPE_CHECKING:
    from collections.abc import Iterator, Set

    import polars as pl

KINDS = ("email", "phone", "card", "iban")

EMAIL = re.compile(
    r"(?<![\w.+/@:-])[A-Za-z0-9][\w.+-]{0,63}@(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,24}(?![\w@-])", re.ASCII
)
PLACEHOLDER_DOMAIN = re.compile(
    r"@(?:[\w.-]*\.)?(?:example|test|localhost|invalid|domain|yourdomain|mydomain|your-?company|company|email|mail|"
    r"yoursite|yourwebsite|website|site|acme|abc|xyz|foo|bar|mycompany|business|yourbusiness|school|university|host|"
    r"server|organization|someone)\.\w+\Z",
    re.IGNORECASE,
)
PLACEHOLDER_NAME = re.compile(
    r"\A(?:example|test|user(?:name)?|your?[._-]?(?:name|email)?|name|email|someone|somebody|recipient|sender|john[._]?doe|"
    r"jane[._]?doe|jdoe|johndoe|janedoe|foo|bar|me|myemail|no-?reply|info|support|contact|sales|admin|"
    r"hello|help|git|team|office|press|affiliates|billing|service|first[._-]?name|last[._-]?name)"
    r"[\w.+-]{0,3}@",
    re.IGNORECASE,
)
PHONE = re.compile(
    r"(?<![\w.$€£/=-])(?:\+\d{1,3}[ .-]?(?:\(\d{1,4}\)[ .-]?)?\d{1,4}(?:[ .-]?\d{2,4}){2,4}(?!\w)"
    r"|(?:\(\d{3}\)[ ]?\d{3}[ .-]\d{4}|\d{3}[.-]\d{3}[.-]\d{4})(?![\w/-]|\.\d))"
)
FICTIONAL_PHONE = re.compile(r"555|123\D{0,2}456|(\d)(?:[ .-]?\1){6,}")
CARD = re.compile(r"(?<![\w.-])(?:\d[ -]?){12,18}\d(?![\w.-])", re.ASCII)
CARD_BRANDS = re.compile(
    r"4\d{12}(?:\d{3})?(?:\d{3})?|5[1-5]\d{14}|2[2-7]\d{14}|3[47]\d{13}|6(?:011|5\d\d)\d{12}"
)
TEST_CARDS = {
    "4111111111111111",
    "4242424242424242",
    "5555555555554444",
    "378282246310005",
    "4012888888881881",
}
IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?:[ ]?[A-Z0-9]{4}){2,7}(?:[ ]?[A-Z0-9]{1,4})?\b")
IBAN_LENGTHS = {
    "AT": 20, "BE": 16, "CH": 21, "CZ": 24, "DE": 22, "DK": 18, "ES": 24, "FI": 18, "FR": 27, "GB": 22, "GR": 27,
    "HU": 28, "IE": 22, "IT": 27, "LU": 20, "NL": 18, "NO": 15, "PL": 28, "PT": 25, "RO": 24, "SA": 24, "SE": 24,
    "SK": 24, "TR": 26, "AE": 23, "BR": 29,
}  # fmt: skip
TEST_IBANS = {"GB82WEST12345698765432", "DE89370400440532013000", "GB29NWBK60161331926819"}

ROUGHLY = {
    "email": r"[A-Za-z0-9_]@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2}",
    "phone": r"\+[0-9]{1,3}[ .-]?\(?[0-9]|\([0-9]{3}\) ?[0-9]{3}[ .-][0-9]{4}|[0-9]{3}[.-][0-9]{3}[.-][0-9]{4}",
    "card": r"[0-9](?:[ -]?[0-9]){12}",
    "iban": r"[A-Z]{2}[0-9]{2} ?[A-Z0-9]{4} ?[A-Z0-9]{4}",
}
"""For the engine of Polars, which knows no look-around; they may only find too much."""
ROUGHLY_EACH = {kind: pattern.replace("[0-9]", r"\d") for kind, pattern in ROUGHLY.items()}
"""The same with the digits of every script, which the exact patterns of telephone numbers and accounts take, too."""
LOCAL_SIGNS = string.ascii_letters + string.digits + "_.+-"
LONGEST_LOCAL = 64
"""Characters before the @."""


def is_luhn(digits: str) -> bool:
    """Whether the last digit checks the others (ISO/IEC 7812-1)."""
    doubled = [int(digit) * (1 + i % 2) for i, digit in enumerate(reversed(digits))]
    return sum(n - 9 if n > 9 else n for n in doubled) % 10 == 0


def is_iban(text: str) -> bool:
    """Whether the check digits fit, modulo 97 (ISO 13616), and the length is its country's."""
    plain = text.replace(" ", "")
    if IBAN_LENGTHS.get(plain[:2]) != len(plain):
        return False
    return int("".join(str(int(char, 36)) for char in plain[4:] + plain[:4])) % 97 == 1


def is_card(text: str) -> bool:
    """Whether a run of digits is a card of a known brand with its check digit."""
    digits = re.sub(r"\D", "", text)
    return CARD_BRANDS.fullmatch(digits) is not None and is_luhn(digits) and digits not in TEST_CARDS


def addresses(text: str) -> "Iterator[re.Match[str]]":
    """What EMAIL finds, sought from each @: the address begins where the signs before it do."""
    at = text.find("@")
    while at >= 0:
        before = text[max(0, at - LONGEST_LOCAL - 1) : at]
        match = EMAIL.match(text, at - len(before) + len(before.rstrip(LOCAL_SIGNS)))
        if match is not None:
            yield match
        at = text.find("@", at + 1)


def _matches(text: str, kinds: "Set[str]") -> "Iterator[tuple[str, re.Match[str]]]":
    """Every find of KINDS that is somebody's, kind by kind."""
    if "email" in kinds:
        for match in addresses(text):
            if not PLACEHOLDER_DOMAIN.search(match[0]) and not PLACEHOLDER_NAME.match(match[0]):
                yield "email", match
    if "iban" in kinds:
        for match in IBAN.finditer(text):
            if is_iban(match[0]) and match[0].replace(" ", "") not in TEST_IBANS:
                yield "iban", match
    if "card" in kinds:
        for match in CARD.finditer(text):
            if is_card(match[0]):
                yield "card", match
    if "phone" in kinds:
        for match in PHONE.finditer(text):
            n_digits = sum(char.isdigit() for char in match[0])
            if 9 <= n_digits <= 15 and not FICTIONAL_PHONE.search(match[0]):
                yield "phone", match


@dataclass(frozen=True, slots=True)
class PersonalData:
    """Mail addresses, telephone numbers, bank accounts and cards of somebody; invented ones do not count."""

    rule_version: ClassVar[int] = 1

    kinds: tuple[str, ...] = KINDS
    """Which to look for: email, phone, card, iban."""

    def __post_init__(self) -> None:
        for kind in self.kinds:
            if kind not in KINDS:
                raise BadSettings(str(UnknownName.of("kind of personal data", kind, KINDS)))

    def notice(self, texts: "pl.DataFrame") -> "pl.DataFrame":
        """Messages with such data; the evidence does not repeat it."""
        import polars as pl

        content = pl.col("content")
        asked = pl.lit(value=False)
        if "email" in self.kinds:
            asked = asked | content.str.contains("@", literal=True)
        if set(self.kinds) - {"email"}:
            asked = asked | content.str.contains(r"[0-9][0-9 .()-]{6,}[0-9]")
        roughly = content.str.contains("|".join(ROUGHLY[kind] for kind in self.kinds))
        picked = texts.filter(asked).filter(roughly)
        possible = picked.select(content.str.contains(ROUGHLY_EACH[kind]).alias(kind) for kind in self.kinds)
        rows = zip(
            *(picked.get_column(name).to_list() for name in ("row", "content")),
            possible.iter_rows(),
            strict=True,
        )
        judged = ((row, self._judge(text, set(compress(self.kinds, may)))) for row, text, may in rows)
        return noticed_frame((row, noticed) for row, noticed in judged if noticed is not None)

    def _judge(self, text: str, kinds: "Set[str]") -> Noticed | None:
        for kind, match in _matches(text, kinds):
            return kind, float(len(match[0])), match[0][:2] + "…", match.start()
        return None

    def drops(self, turns: "pl.DataFrame") -> "pl.DataFrame":
        """By any message."""
        return any_turn(turns)
