"""Personal data and secrets in a text: found by their form, and by their check digits where they have some.

Ours; the paper does not look. A name or an address in words has no form: that takes a model, and presidio (`redactor`).
"""

import re
from collections import Counter
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_network
from itertools import pairwise

from askback.recipe import Corpus
from askback.records import Rejection
from askback.text.language import language

Redact = Callable[[str], tuple[str, Counter[str]]]

_EXAMPLES = re.compile(r"[@.](?:example(?:\.(?:com|org|net))?|test|invalid|localhost)\Z", re.IGNORECASE)
_UNICAST = ip_network("2000::/3")


def _address(found: str) -> bool:
    """E-mail; the domains that RFC 2606 sets aside for examples are nobody's, and ``git@`` is no person."""
    return not _EXAMPLES.search(found) and not found.startswith("git@")


def _public_4(found: str) -> bool:
    """An IPv4 address that is reachable by all; those of home networks, loopback and documentation name nobody."""
    try:
        return IPv4Address(found).is_global
    except ValueError:
        return False


def _public_6(found: str) -> bool:
    try:
        address = IPv6Address(found)
    except ValueError:
        return False
    return address.is_global and address in _UNICAST


def luhn(number: str) -> bool:
    """Tell whether the digits of a card number pass the Luhn check."""
    digits = [int(digit) for digit in number if digit.isdecimal()]
    doubled = [2 * digit - 9 * (digit > 4) for digit in digits[-2::-2]]
    return 13 <= len(digits) <= 19 and (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def mod_97(number: str) -> bool:
    """Tell whether an IBAN passes ISO 7064: its first four characters at the end, letters as 10 to 35, leave 1."""
    plain = number.replace(" ", "")
    return 15 <= len(plain) <= 34 and int("".join(str(int(one, 36)) for one in plain[4:] + plain[:4])) % 97 == 1


def _phone(found: str) -> bool:
    return 8 <= sum(map(str.isdigit, found)) <= 15


def _yes(found: str) -> bool:
    return True


_KINDS: list[tuple[str, re.Pattern[str], Callable[[str], bool]]] = [
    (
        "SECRET",
        re.compile(
            r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----.*?(?:-----END (?:[A-Z]+ )*PRIVATE KEY-----|\Z)", re.DOTALL
        ),
        _yes,
    ),
    (
        "SECRET",
        re.compile(r"\b(?:(?:AKIA|ASIA)[A-Z2-7]{16}|gh[pousr]_[A-Za-z0-9]{36,251}|github_pat_\w{22,244})\b"),
        lambda found: not found.endswith("EXAMPLE"),  # Amazon's own documentation has such a key
    ),
    ("EMAIL", re.compile(r"\b[A-Za-z0-9][\w.%+-]{0,63}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}\b"), _address),
    ("IBAN", re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b"), mod_97),
    ("CARD", re.compile(r"(?<![\w.+-])[2-6]\d{3}(?:[ -]?\d){9,15}(?![\w-])"), luhn),
    ("IP", re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w-]|\.\d)"), _public_4),
    ("IP", re.compile(r"(?<![\w:.])[0-9A-Fa-f]{1,4}:[0-9A-Fa-f:]{4,34}(?![\w:])"), _public_6),
    ("PHONE", re.compile(r"(?<![\w+.-])\+\d{1,3}(?:[ .-]?\(0?\d{0,4}\))?(?:[ .-]?\d{2,5}){2,5}(?![\w-]|\.\d)"), _phone),
    (
        "PHONE",
        re.compile(r"(?<![\w+.-])(?:1[ .-])?(?:\([2-9]\d{2}\) ?|[2-9]\d{2}[ .-])[2-9]\d{2}[ .-]\d{4}(?![\w-]|\.\d)"),
        _yes,
    ),
]
"""Kind, form and check, in the order they are replaced: the digits of a card are no telephone number."""


def redact(text: str) -> tuple[str, Counter[str]]:
    """Return the text with ``<EMAIL>``, ``<PHONE>``, ``<IP>``, ``<CARD>``, ``<IBAN>`` and ``<SECRET>`` in place of what
    was found, and how many of each there were.

    Found are e-mail addresses, telephone numbers (international with +, and US), public IPv4 and IPv6 addresses, payment
    cards (Luhn), IBANs (mod 97), keys of AWS and GitHub, and private keys in PEM.
    """
    counts: Counter[str] = Counter()
    for kind, form, check in _KINDS:
        spans = [match.span() for match in form.finditer(text) if check(match[0])]
        if spans:
            counts[kind] += len(spans)
            borders = [0, *(border for span in spans for border in span), len(text)]
            text = f"<{kind}>".join(text[start:end] for start, end in list(pairwise(borders))[::2])
    return text, counts


def redactor(text: str, options: Corpus) -> Redact:
    """Return what redacts a segment's text, headers and title: `redact`, or with ``pii_engine: presidio`` both.

    Presidio takes one language: that of `languages`, or of `text` where that names none or several. Of a text that is too
    long whatever comes of it, presidio sees only as much as a rejection keeps, or `max_chars` where that is more.
    """
    if options.pii_engine == "patterns":
        return redact
    from askback.corpus.presidio import replace

    code = options.languages[0] if len(options.languages) == 1 else language(text)

    def both(text: str) -> tuple[str, Counter[str]]:
        text, counts = redact(text)
        seen = max(options.max_chars, Rejection.EXCERPT)
        end = seen if len(text) > seen + options.max_chars else len(text)
        looked, more = replace(text[:end], code)
        return looked + text[end:], counts + more

    return both


def personal_data(text: str, redact: Redact = redact) -> str | None:
    """Rule "personal-data" (ours), on with ``pii: drop``: the text holds anything that `redact` would replace."""
    counts = redact(text)[1]
    return ", ".join(f"{kind.lower()} {count}" for kind, count in counts.items()) + ", none wanted" if counts else None
