"""Which trials a spec makes on this machine."""
