"""The child: receipt, build, verify, measure."""
