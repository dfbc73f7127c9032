"""Facts: all that crosses a process or a disk."""
