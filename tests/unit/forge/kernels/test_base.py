from tensordyno.forge.kernels.base import Launch


class Recorder:
    """A kernel function that writes down how it is called."""

    def __init__(self, name, calls):
        self.name, self.calls = name, calls

    def __getitem__(self, grid):
        return lambda **given: self.calls.append((self.name, grid, given))


def test_what_a_launch_reads_is_made_before_it():
    calls = []
    first, second, last = (
        Launch(function=Recorder(name, calls), grid=(number,), arguments={"x": number})
        for number, name in enumerate(("first", "second", "last"), 1)
    )
    last = Launch(
        function=last.function,
        grid=(2, 3),
        arguments={"x": 5},
        constants={"BLOCK": 16},
        num_warps=8,
        before=(first, second),
    )
    last.run()
    assert [name for name, *_ in calls] == ["first", "second", "last"]
    assert calls[-1] == ("last", (2, 3), {"x": 5, "BLOCK": 16, "num_warps": 8, "num_stages": 2})
