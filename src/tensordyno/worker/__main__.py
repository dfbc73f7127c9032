"""The child process: `python -m tensordyno.worker --reports FD` reads orders, answers with reports.

Run by hand it reads orders from the terminal and reports to it (`--reports 1`).
"""

import argparse
import sys

from tensordyno.worker.conversation import Conversation
from tensordyno.worker.lifeline import die_with_parent
from tensordyno.worker.serve import serve


def main() -> int:
    """Serve orders until there are no more."""
    parser = argparse.ArgumentParser(prog="python -m tensordyno.worker", description=__doc__)
    parser.add_argument("--reports", type=int, default=1, metavar="FD", help="file descriptor of reports")
    parser.add_argument("--parent", type=int, metavar="PID", help="die when this process dies")
    arguments = parser.parse_args()
    if arguments.parent:
        die_with_parent(arguments.parent)
    return serve(Conversation(sys.stdin.buffer, arguments.reports))


if __name__ == "__main__":
    sys.exit(main())
