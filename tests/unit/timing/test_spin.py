import threading
import time

from tensordyno.timing.spin import SpinProbe


def test_loss_is_relative_to_the_best_rate_known():
    probe = SpinProbe(1)
    try:
        unknown = probe.measure(None, duration_s=0.005)
        assert unknown.rate > 0
        assert unknown.loss == 0
        assert probe.measure(unknown.rate * 100, duration_s=0.005).loss > 0.9
        assert probe.measure(unknown.rate / 100, duration_s=0.005).loss == 0
    finally:
        probe.close()


def test_two_threads_add_up():
    probe = SpinProbe(2)
    try:
        assert probe.measure(None, duration_s=0.005).rate > 0
    finally:
        probe.close()


def test_a_probe_waits_for_threads_that_spin_on():
    """As an engine's do after a batch: the probe must not take them for somebody else's."""
    ended = []

    def spin_on():
        until = time.perf_counter() + 0.06
        while time.perf_counter() < until:
            pass
        ended.append(time.perf_counter())

    probe = SpinProbe(1)
    thread = threading.Thread(target=spin_on)
    try:
        thread.start()
        probe.measure(None, duration_s=0.005)
        assert ended
    finally:
        thread.join()
        probe.close()
