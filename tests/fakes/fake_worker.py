"""A worker without a process: it answers with the reports it was given."""

from tensordyno.clock import FakeClock
from tensordyno.records.build import Built, ProcessFacts, Receipt, Verification
from tensordyno.records.burst import Burst, Probe, Warmup
from tensordyno.records.messages import BuiltReport, BurstReport, ReadyReport
from tensordyno.records.model import ModelFacts, Preprocessing
from tensordyno.records.outcome import Phase
from tensordyno.records.trial import EngineChoice, Measurement, Trial
from tensordyno.run.contender import Contender
from tensordyno.run.team import Team
from tensordyno.vocabulary import Precision, WeightsKind

READY = ReadyReport(
    receipt=Receipt(engine="null", version="1", device="CPU"),
    process=ProcessFacts(pid=7, python="cpython", affinity=(0,), threads=1, allocator="default"),
)
VERIFIED = Verification(
    images=8, sqnr_db=None, cosine=1.0, top1_agreement=1.0, max_abs_error=0.0, passed=True
)
BUILT = BuiltReport(
    model=ModelFacts(
        name="m",
        input_shape=(1, 2, 2),
        classes=2,
        parameters=1,
        macs=1,
        weights=WeightsKind.RANDOM,
        weights_hash="h",
        preprocessing=Preprocessing(),
    ),
    built=Built(import_s=0, load_s=0, compile_s=0, first_inference_s=0),
    verification=VERIFIED,
    accuracy=None,
    phases=(Phase(name="load", start_s=0, stop_s=1),),
)


def trial(name="t", **measurement):
    return Trial(
        id=name,
        model="m",
        engine=EngineChoice(name="null"),
        precision=Precision.FP32,
        batch_size=1,
        group="g",
        measurement=Measurement(**measurement),
    )


def burst(start_s=0.0, duration_s=0.4, images=4, *, contended=False, rate=100.0, done=False, **report):
    """The report of one burst whose batches took equally long."""
    probe = Probe(rate=rate, loss=0.0)
    batches = images if duration_s else 0
    return BurstReport(
        burst=Burst(
            start_s=start_s,
            stop_s=start_s + duration_s,
            batches=batches,
            images=batches,
            before=probe,
            after=probe,
            contended=contended,
        ),
        latencies_s=(duration_s / images,) * batches,
        done=done,
        **report,
    )


def warmup(duration_s):
    return Warmup(start_s=0.0, stop_s=duration_s, batches=3, settled=True)


def contender(trial, worker, build_patience_s=10, burst_patience_s=10):
    """A contender whose team is one fake worker, which stands beside as `worker`."""
    made = Contender(trial, Team(trial, "folder", [worker]), build_patience_s, burst_patience_s)
    made.worker = worker
    return made


class FakeWorker:
    """Answers orders in turn; an answer that is an exception is raised, one that is callable is called."""

    pid = 4711

    def __init__(self, *answers, clock=None):
        self.answers = list(answers)
        self.orders = []
        self.patience = []
        self.remedies = []
        self.ended = ""
        self.clock = clock or FakeClock()

    def order(self, order):
        self.orders.append(order)

    def await_report(self, timeout_s, remedy=""):
        self.patience.append(timeout_s)
        self.remedies.append(remedy)
        answer = self.answers.pop(0)
        if callable(answer):
            answer = answer()
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def finish(self):
        self.ended = self.ended or "finished"

    def kill(self):
        self.ended = self.ended or "killed"
