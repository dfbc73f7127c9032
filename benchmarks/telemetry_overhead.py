"""What reading every sensor each 100 ms costs a real workload: sampler on and off, interleaved."""

import tempfile
from pathlib import Path

from record import finish, parser

from tensordyno.records.trial import EngineChoice, Measurement, Plan, Trial
from tensordyno.run.contender import Contender, Materials
from tensordyno.run.contention import SpinReference
from tensordyno.run.overhead import measure_overhead
from tensordyno.run.prepared_models import PreparedModels
from tensordyno.run.spawn import Worker
from tensordyno.run.team import Team
from tensordyno.run.watch import Watch
from tensordyno.spec.schema import TelemetrySettings
from tensordyno.store.writer import RunWriter
from tensordyno.vocabulary import Precision


def main() -> None:
    """ResNet-50 on ONNX Runtime at batch 1, many pairs of bursts."""
    arguments = parser(__doc__)
    arguments.add_argument("--pairs", type=int, default=60)
    options = arguments.parse_args()
    trial = Trial(
        id="overhead",
        model="resnet50",
        engine=EngineChoice(name="onnxruntime"),
        precision=Precision.FP32,
        batch_size=1,
        measurement=Measurement(),
    )
    with tempfile.TemporaryDirectory() as folder, RunWriter(Path(folder) / "run") as writer:
        writer.create(Plan(trials=(trial,)), "")
        prepared = PreparedModels(writer.folder.logs, 600).folder_for(trial)
        worker = Worker(writer.folder.log_file("overhead"), None, None, "default")
        contender = Contender(trial, Team(trial, prepared, [worker]), 600, 120)
        contender.build(Materials(prepared))
        with Watch(TelemetrySettings(), writer) as watch:
            watch.follow({worker.pid: "overhead"})
            overhead = measure_overhead(contender, watch, SpinReference(), pairs=options.pairs)
        contender.team.finish()
    finish({"throughput_on_over_off": overhead, "goal": "less than 0.5 % change"}, options.out)


if __name__ == "__main__":
    main()
