"""A device as people and PyTorch write it, taken apart: "cpu", "cuda", "cuda:1"."""


def device_kind(device: str) -> str:
    """What a device is, without its number: "cuda" of "cuda:1"."""
    return device.partition(":")[0]


def device_index(device: str) -> int:
    """Its number among its kind, 0 where none is written: 1 of "cuda:1"."""
    return int(device.partition(":")[2] or 0)
