"""Our figure on a GPU against a bare loop of the same calls, interleaved in one run.

The bare loop queues five batches and synchronises once, as the feasibility studies of this project did; ours
synchronises after each. The network, its weights, the layout and the number format are the same.
"""

import random
import sys
import tempfile
from pathlib import Path

from agreement import Child, as_burst
from record import finish, parser

from tensordyno.analysis.ratio import throughput_ratio
from tensordyno.records.burst import Burst
from tensordyno.records.trial import EngineChoice, Measurement, Trial
from tensordyno.run.contender import Contender, Materials
from tensordyno.run.prepared_models import PreparedModels
from tensordyno.run.spawn import Worker
from tensordyno.run.team import Team
from tensordyno.vocabulary import Boundary, Precision

BURST_S = 1.0
CASES = (("torch", "fp32"), ("torch", "tf32"), ("torch", "fp16"), ("torch-compile", "fp16"))

BARE = """
import sys, time, torch, numpy as np
from pathlib import Path
from tensordyno.models.prepared import load_module, load_prepared
folder, engine, precision, layout, batch, seconds = *sys.argv[1:5], int(sys.argv[5]), float(sys.argv[6])
tf32 = precision == "tf32"
torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
torch.backends.cudnn.benchmark = True
form = torch.channels_last if layout == "channels-last" else torch.contiguous_format
kind = torch.half if precision == "fp16" else torch.float32
prepared = load_prepared(Path(folder))
network = load_module(prepared).cuda().to(kind).to(memory_format=form)
images = np.resize(np.load(prepared.reference)["images"], (batch, *prepared.facts.input_shape))
x = torch.from_numpy(images).cuda().to(kind).contiguous(memory_format=form)
if engine == "torch-compile":
    import torch._inductor.config
    torch._inductor.config.freezing = True
    network = torch.compile(network, mode="reduce-overhead")
with torch.inference_mode():
    for _ in range(5): network(x)
    torch.cuda.synchronize()
    for line in sys.stdin:
        if line == "ready?\\n": print("yes", flush=True); continue
        n, start = 0, time.perf_counter()
        while time.perf_counter() - start < seconds:
            for _ in range(5): network(x)
            torch.cuda.synchronize(); n += 5
        print(n * batch / (time.perf_counter() - start), flush=True)
"""


def compare(
    model: str, engine: str, precision: str, batch: int, rounds: int, logs: Path
) -> dict[str, object]:
    """Our throughput over the bare loop's on cuda:0, with its interval."""
    ours = Trial(
        id=f"agreement-{engine}-{precision}",
        model=model,
        engine=EngineChoice(name=engine, options={"cudnn": "search"}),
        precision=Precision(precision),
        batch_size=batch,
        boundary=Boundary.DEVICE,
        device="cuda:0",
        measurement=Measurement(burst_seconds=BURST_S),
    )
    folder = PreparedModels(logs, 600).folder_for(ours)
    team = Team(ours, folder, [Worker(logs / f"{ours.id}.log", None, None, "default")])
    contender = Contender(ours, team, 600, 120)
    contender.build(Materials(folder))
    layout = contender.built_choices()["layout"].split()[0]
    child = Child(BARE, folder, engine, precision, layout, str(batch), str(BURST_S))
    shuffled = random.Random(0)
    left: list[Burst] = []
    right: list[Burst] = []
    for _ in range(rounds):
        first = child() if shuffled.random() < 0.5 else None
        burst = contender.rehearse(None).burst
        other = child() if first is None else first
        left.append(as_burst(burst.images / burst.duration_s, burst))
        right.append(as_burst(other, burst))
        print(
            f"{engine} {precision}: ours {burst.images / burst.duration_s:.0f}, bare {other:.0f}",
            file=sys.stderr,
        )
    team.finish()
    child.close()
    ratio = throughput_ratio(left, right)
    return {
        "model": model,
        "engine": engine,
        "precision": precision,
        "batch_size": batch,
        "layout": layout,
        "images_per_s": [round(b.images / 1e6, 1) for b in left],
        "bare_images_per_s": [round(b.images / 1e6, 1) for b in right],
        "ours_over_bare": ratio.interval if ratio else None,
    }


def main() -> None:
    """Eager in three precisions, compiled in fp16."""
    arguments = parser(__doc__)
    arguments.add_argument("--rounds", type=int, default=6)
    arguments.add_argument("--batch", type=int, default=256)
    arguments.add_argument("--model", default="resnet50")
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as logs:
        found = [compare(options.model, *case, options.batch, options.rounds, Path(logs)) for case in CASES]
    finish({"agreement": found, "goal": "within 2 %"}, options.out)


if __name__ == "__main__":
    main()
