"""What stops a forge engine: each operation's measured time beside what it has to move and to compute.

python benchmarks/forge_layers.py resnet50.engine [--batch 256] [--json layers.json]

Needs no GPU: times are those that the engine's kernels were chosen by, over inputs beyond the L2 cache. They
do not overlap as kernels of the whole engine do, so that their sum is more than its latency.
"""

import argparse
import json
from collections import Counter
from pathlib import Path

from tensordyno.forge.engine_build import program_of
from tensordyno.forge.engine_file import read_engine
from tensordyno.forge.graph import Graph
from tensordyno.forge.kernels.base import Target
from tensordyno.forge.layers import layer_table

COPY = 4.24e12  # bytes/s read and written that one H200 was seen to reach (results/h200/scaling)
PRODUCTS = {"int8": 0.55e15, "fp16": 0.33e15, "bf16": 0.33e15}  # macs/s that its matrix units were seen to


def rows(path: Path, batch: int | None) -> tuple[int, list[dict[str, object]]]:
    """A row for each operation of an engine file, and the batch size: its largest unless given."""
    record = read_engine(path)
    batch = batch or max(record.choices)
    program = program_of(record.graph, record.precision, Target(capability=(9, 0)))
    nodes = tuple(each.node for each in program.operations)
    costs = {cost.name: cost for cost in layer_table(_graph_of(record.graph, nodes))}
    found = []
    for operation, chosen in zip(program.operations, record.choices[batch], strict=True):
        cost = costs[operation.node.name]
        width = operation.output.format.width_bytes
        moved_us = 1e6 * batch * cost.moved_bytes(batch) * width / COPY
        computed_us = 1e6 * batch * cost.macs / PRODUCTS.get(operation.precision.value, 3e13)
        found.append(
            {
                "operation": operation.node.name,
                "kind": type(operation.node).__name__,
                "inputs": [list(shape) for shape in cost.inputs],
                "output": list(cost.output),
                "kernel": chosen.kernel,
                "choice": list(chosen.choice),
                "us": chosen.us,
                "moved_us": round(moved_us, 2),
                "computed_us": round(computed_us, 2),
            }
        )
    return batch, found


def _graph_of(graph: Graph, nodes: tuple) -> Graph:
    return graph.with_nodes(nodes)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser()
    parser.add_argument("engine", type=Path)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    batch, found = rows(given.engine, given.batch)
    kinds: Counter[str] = Counter()
    total = floor = 0.0
    print(f"{'us':>8} {'moves':>7} {'computes':>8}  share  operation")
    for row in found:
        us, least = row["us"] or 0.0, max(row["moved_us"], row["computed_us"])
        total, floor = total + us, floor + least
        kinds[row["kernel"]] += us
        shape = " + ".join("x".join(map(str, each)) for each in row["inputs"])
        made = "x".join(map(str, row["output"]))
        share = f"{least / us:5.0%}" if us else "    -"
        print(
            f"{us:8.1f} {row['moved_us']:7.1f} {row['computed_us']:8.1f}  {share}  "
            f"{row['operation']}: {shape} -> {made}, {row['kernel']}{row['choice']}"
        )
    print(f"{total:8.1f} of {floor:.1f} us at a batch of {batch}; by kernel:", dict(kinds))
    if given.json:
        given.json.write_text(json.dumps({"batch": batch, "rows": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
