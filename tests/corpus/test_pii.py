"""Personal data and secrets: what has the form and the check digits, and what only looks like it."""

import pytest

from askback.corpus.pii import luhn, mod_97, personal_data, redact

PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc=\n-----END RSA PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("ann.o'neill+x@mail.uni-ulm.de", "EMAIL"),
        ("ann@example.io", "EMAIL"),
        ("+44 20 7946 0958", "PHONE"),
        ("+49 (0)30 901820", "PHONE"),
        ("+4930901820", "PHONE"),
        ("(212) 555-0187", "PHONE"),
        ("212-555-0187", "PHONE"),
        ("212.555.0187", "PHONE"),
        ("1-212-555-0187", "PHONE"),
        ("8.8.8.8", "IP"),
        ("2606:4700:4700::1111", "IP"),
        ("2a00:1450:4001:0829:0000:0000:0000:200e", "IP"),
        ("4111 1111 1111 1111", "CARD"),
        ("5500-0000-0000-0004", "CARD"),
        ("378282246310005", "CARD"),
        ("GB82 WEST 1234 5698 7654 32", "IBAN"),
        ("DE89370400440532013000", "IBAN"),
        ("AKIAIOSFODNN7ABCDEFG", "SECRET"),
        ("ghp_" + "a1B2" * 9, "SECRET"),
        ("github_pat_" + "a" * 22, "SECRET"),
        (PEM, "SECRET"),
        (PEM[:40], "SECRET"),
    ],
)
def test_found(text: str, kind: str) -> None:
    redacted, counts = redact(f"See ({text}), please.")
    assert redacted in (f"See (<{kind}>), please.", f"See (ann.o'<{kind}>), please.", f"See (<{kind}>")
    assert counts == {kind: 1}
    assert personal_data(text) == f"{kind.lower()} 1, none wanted"


@pytest.mark.parametrize(
    "text",
    [
        "ann@example.com",  # set aside for examples
        "ann@mail.example.org",
        "git@github.com:a/b.git",
        "@decorator and a@b",
        "192.168.0.1",  # a home network's
        "127.0.0.1",
        "203.0.113.7",  # documentation's
        "256.8.8.8",
        "1.8.8.8.8",
        "version 1.2.3",
        "2001:db8::1",
        "fe80::1",
        "at 12:30:45",
        "std::vector a::b",
        "4111 1111 1111 1112",  # Luhn
        "978-3-16-148410-0",  # an ISBN
        "1234567890123456",
        "GB82 WEST 1234 5698 7654 33",  # mod 97
        "+1 234",
        "2 + 1000000 - 3",
        "112-555-0187",  # no US area code begins with 1
        "1914-1918 and 2001-09-11",
        "AKIAIOSFODNN7EXAMPLE",
        "ghp_short",
        "-----BEGIN PUBLIC KEY-----",
        "DE89",
    ],
)
def test_not_found(text: str) -> None:
    assert redact(f"See {text} please.") == (f"See {text} please.", {})
    assert personal_data(text) is None


def test_several_are_replaced_each_in_its_place() -> None:
    text, counts = redact("a@b.de, 8.8.8.8 and c@d.fr; +44 20 7946 0958.")
    assert text == "<EMAIL>, <IP> and <EMAIL>; <PHONE>."
    assert counts == {"EMAIL": 2, "IP": 1, "PHONE": 1}
    assert personal_data("a@b.de 8.8.8.8 c@d.fr") == "email 2, ip 1, none wanted"


def test_check_digits() -> None:
    """79927398713 is the usual Luhn example, here with zeros in front to a card's length; GB82… is ISO 13616's."""
    assert luhn("0079927398713") and not luhn("0079927398710") and not luhn("79927398713")
    assert mod_97("GB82WEST12345698765432") and not mod_97("GB28WEST12345698765432")
