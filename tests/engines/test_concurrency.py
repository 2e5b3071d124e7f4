"""How many at once: slowly up, quickly down, and never before the server's time."""

import pytest

from askback.engines.http.concurrency import Concurrency
from askback.errors import Interrupted


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def serve(flow: Concurrency, clock: Clock, seconds: float, rounds: int = 1) -> None:
    """Have as many requests as are let in answered together, each after so many seconds."""
    for _ in range(rounds):
        entered = [flow.enter() for _ in range(int(flow.limit))]
        clock.now += seconds
        for one in entered:
            flow.leave((one[0], len(entered)), True)


def test_it_doubles_until_the_server_is_overloaded_then_grows_by_one_up_to_the_most() -> None:
    clock = Clock()
    flow = Concurrency(100, clock=clock)
    serve(flow, clock, 1.0)
    assert flow.limit == 8
    serve(flow, clock, 1.0, 10)
    assert flow.limit == 100
    one = flow.enter()
    clock.now += 1
    flow.push_back(one, 0.0)
    flow.leave(one, False)
    assert flow.limit == 50
    serve(flow, clock, 1.0)
    assert flow.limit == 51
    serve(flow, clock, 1.0, 60)
    assert flow.limit == 100


def test_a_burst_of_429_halves_it_once_and_nothing_goes_out_before_retry_after() -> None:
    clock = Clock()
    flow = Concurrency(64, start=16, clock=clock)
    entered = [flow.enter() for _ in range(16)]
    clock.now += 0.1
    for one in entered:
        flow.push_back(one, 5.0)
        flow.leave(one, False)
    assert flow.limit == 8
    assert flow._resume == clock.now + 5.0
    clock.now += 5.0
    flow.enter()


def test_latency_that_buys_nothing_makes_it_fewer_and_latency_that_does_not_harm_is_borne() -> None:
    clock = Clock()
    flow = Concurrency(64, start=8, clock=clock)
    for limit in (8, 16, 32):  # a batching server: slower per request, as fast in all
        serve(flow, clock, limit / 8)
    assert flow.limit == 64
    before = flow.limit
    serve(flow, clock, 3 * before / 8)  # now it thrashes
    assert flow.limit < before


def test_a_run_that_is_to_stop_waits_for_no_server() -> None:
    flow = Concurrency(4, stopping=lambda: True)
    flow.push_back(flow.enter(), 40.0)
    with pytest.raises(Interrupted, match="between two requests"):
        flow.enter()


def test_it_never_falls_below_one() -> None:
    clock = Clock()
    flow = Concurrency(4, start=1, clock=clock)
    for _ in range(5):
        one = flow.enter()
        clock.now += 1
        flow.push_back(one, 0.0)
        flow.leave(one, False)
    assert flow.limit == 1
