"""Stages: reported by codecs, timed by a stopwatch, no effect unless a stopwatch is active."""

import threading

from rdbench.stages import listen, stage


class Clock:
    """A clock that is told what time it is."""

    now = 0.0

    def __call__(self):
        return self.now


def test_a_stage_has_its_own_time_alone():
    clock = Clock()
    with listen(clock) as watch:
        clock.now = 1  # before any stage
        with stage("transform"):
            clock.now = 3
            with stage("coding"):
                clock.now = 10
            clock.now = 14
        with stage("transform"):
            clock.now = 20
    assert dict(watch.seconds) == {"transform": 2 + 4 + 6, "coding": 7}


def test_a_stage_ends_with_an_error():
    clock = Clock()
    with listen(clock) as watch:
        try:
            with stage("transform"):
                clock.now = 2
                raise ValueError
        except ValueError:
            pass
        clock.now = 5
    assert dict(watch.seconds) == {"transform": 2}


def test_stages_have_no_effect_without_a_stopwatch():
    with stage("transform"), stage("coding"):
        pass
    with listen() as watch:
        pass
    with stage("transform"):
        pass
    assert not watch.seconds


def test_other_threads_do_not_mix_in():
    def other():
        with stage("transform"):
            pass

    with listen() as watch:
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert not watch.seconds
