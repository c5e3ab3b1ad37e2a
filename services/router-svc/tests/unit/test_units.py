"""A request's unit comes from the first source, in the order that was set, that says something."""

import pytest

from router_svc.domain.units import UnitSource, unit_of, unit_order

DEFAULT = unit_order("user,header,claim,cookie")


def test_the_first_that_says_something_wins() -> None:
    assert unit_of(DEFAULT, user="u", header="h", claim="c", cookie="s") == "u"
    assert unit_of(DEFAULT, header="h", claim="c", cookie="s") == "h"
    assert unit_of(DEFAULT, user="", header="", claim="c") == "c"
    assert unit_of(DEFAULT, cookie="s") == "s"
    assert unit_of(DEFAULT) is None


def test_the_order_is_set_and_what_it_leaves_out_is_not_looked_at() -> None:
    order = unit_order(" claim , user ")
    assert order == (UnitSource.CLAIM, UnitSource.USER)
    assert unit_of(order, user="u", claim="c") == "c"
    assert unit_of(order, header="h", cookie="s") is None


@pytest.mark.parametrize("text", ["user,address", "user,user", "USER"])
def test_an_order_that_means_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=text.rsplit(",", maxsplit=1)[-1]):
        unit_order(text)
