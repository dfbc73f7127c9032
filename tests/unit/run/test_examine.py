from tensordyno.engines.base import ENGINES
from tensordyno.run import examine as module
from tensordyno.run.examine import examine_engines
from tensordyno.vocabulary import Precision


def only(monkeypatch, name):
    monkeypatch.setattr(type(ENGINES), "names", lambda self: (name,))
    (finding,) = examine_engines()
    return finding


def test_an_engine_is_asked_in_every_precision(monkeypatch):
    finding = only(monkeypatch, "null")
    assert finding.receipt is not None and finding.receipt.engine == "null"
    assert finding.works == tuple(Precision) and finding.refusals == {}


def test_what_an_engine_does_not_claim_is_not_tried(monkeypatch):
    finding = only(monkeypatch, "onnxruntime")
    assert Precision.FP32 in finding.works
    assert "NVIDIA" in finding.refusals[Precision.TF32]


def test_a_worker_that_dies_is_a_finding(monkeypatch):
    monkeypatch.setattr(module, "Worker", lambda log, *_: _Dying())
    finding = only(monkeypatch, "null")
    assert finding.receipt is None and finding.works == ()
    assert "exit status 3" in finding.refusals[Precision.FP32]


class _Dying:
    def order(self, order):
        pass

    def await_report(self, timeout_s, remedy=""):
        raise module.WorkerFailure("worker-died", "The worker ended with exit status 3.")

    def finish(self):
        pass
