"""Turns at decoding: order, bounds, stopping; and jobs that several wait for."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from retrieval.errors import BusyError, StoppedError
from retrieval.web import turns
from retrieval.web.turns import Job, SharedJobs, Turns


def never() -> bool:
    return False


def wait_until(is_so, timeout_s: float = 5) -> None:
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_turns_are_given_in_order_and_no_more_than_at_once():
    line, order, most, running = Turns(at_once=2, waiting=20), [], [], []

    def work(number: int) -> None:
        with line.turn(never):
            order.append(number)
            running.append(number)
            most.append(len(running))
            time.sleep(0.03)
            running.remove(number)

    with ThreadPoolExecutor(8) as pool:
        for number in range(8):
            pool.submit(work, number)
            time.sleep(0.01)
    assert order == list(range(8)) and max(most) == 2


def test_turn_is_refused_beyond_the_bound_and_a_waiting_one_ends_when_stopped():
    line, stopped = Turns(at_once=1, waiting=1), threading.Event()
    with ThreadPoolExecutor(1) as pool:
        with line.turn(never):
            waiting = pool.submit(line.turn(stopped.is_set).__enter__)
            wait_until(lambda: line._line)
            with pytest.raises(BusyError, match="Try again"), line.turn(never):
                pass
            stopped.set()
            with pytest.raises(StoppedError):
                waiting.result(5)
        with line.turn(never):  # all is as it was
            pass


def test_long_work_lets_the_next_begin_and_goes_on_beside_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(turns, "SLICE_S", 0)
    line, begun = Turns(at_once=1, waiting=5), threading.Event()

    def work() -> None:
        with line.turn(never):
            begun.set()

    with ThreadPoolExecutor(1) as pool, line.turn(never) as turn:
        assert not turn.stop() and turn.is_held  # nobody waits
        pool.submit(work)
        wait_until(lambda: line._line)
        assert not begun.is_set()
        assert not turn.stop() and not turn.is_held
        assert begun.wait(5)
    with line.turn(never) as turn:  # all is as it was
        assert turn.is_held and line._n_holding == 1


def test_short_work_keeps_its_turn_although_others_wait():
    line = Turns(at_once=1, waiting=5)
    other = line.turn(never)
    with ThreadPoolExecutor(1) as pool:
        with line.turn(never) as turn:
            waiting = pool.submit(other.__enter__)
            wait_until(lambda: line._line)
            assert not turn.stop() and turn.is_held and not waiting.done()
        assert waiting.result(5).is_held
    other.__exit__(None, None, None)


def test_job_stops_when_it_is_left_and_hands_on_errors():
    job = Job(lambda stop: wait_until(stop) or "stopped")
    assert not job.wait(0.05)
    job.leave()
    assert job.future.result(5) == "stopped"
    failing = Job(lambda stop: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        failing.future.result(5)


def test_shared_job_runs_once_and_ends_when_the_last_one_leaves():
    jobs, runs, ended = SharedJobs(), [], threading.Event()

    def work(stop) -> None:
        runs.append(1)
        wait_until(stop)
        ended.set()

    with jobs.job("key", work) as one:
        with jobs.job("key", work) as other:
            assert one is other
        assert not ended.wait(0.05)
    assert ended.wait(5) and len(runs) == 1
    with jobs.job("key", work) as again:
        assert again is not one
