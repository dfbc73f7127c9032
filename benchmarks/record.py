"""Stores a benchmark's figures with the command and the machine that made them."""

import argparse
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from tensordyno.telemetry.machine import machine_facts


def parser(description: str | None) -> argparse.ArgumentParser:
    """A parser that knows --out."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--out", type=Path, metavar="FILE", help="store the figures as JSON")
    return made


def finish(figures: dict[str, Any], out: Path | None) -> None:
    """Print the figures, and store them when asked."""
    text = msgspec.json.format(msgspec.json.encode(figures), indent=2).decode()
    print(text)
    if out:
        record = {
            "command": shlex.join(["python", *sys.argv]),
            "made": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": machine_facts(),
            "figures": figures,
        }
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n")
