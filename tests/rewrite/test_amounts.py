"""Numbers and dates are read from any text, however it is written."""

from askback.rewrite.amounts import amounts, dates


def test_letters_that_match_another_without_regard_to_case_are_read_as_it() -> None:
    for text in ("on Tue\u017fday next", "12 \u017feptember 1790"):
        (date,) = dates(text)
        assert date.said in text
        assert date.readings == dates(text.replace("\u017f", "s"))[0].readings
    for text in ("the \u017fecond time", "two third\u017f of it", "5 \u212a", "s\u0131x"):
        (amount,) = amounts(text)
        plain = text.replace("\u017f", "s").replace("\u212a", "k").replace("\u0131", "i")
        assert amount.said in text
        assert amount.values == next(amounts(plain)).values


def test_a_number_of_any_length_is_passed_over() -> None:
    long = "1" * 4400
    for text in (long, f"{long}.5", f"1/{long}", "1" + ",000" * 1500):
        assert not list(amounts(f"{text} trees"))
