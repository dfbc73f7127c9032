"""Whether the calibration methods that a spec names exist and take the numbers behind their names."""

from tensordyno.errors import UnknownName, UsageError
from tensordyno.quantize.histogram import Histogram
from tensordyno.quantize.methods.base import AUTO, METHODS, method
from tensordyno.spec.places import KeyPath, Places
from tensordyno.spec.schema import CalibrationAxes


def check_methods(axes: CalibrationAxes, path: KeyPath, places: Places) -> None:
    """Raise SpecError (`unknown-calibration-method`, `bad-method`) for a method that cannot be used.

    `path` is where the spec says `calibration`.
    """
    for index, text in enumerate(axes.methods):
        if text != AUTO:
            _check(text, (*path, "methods", index), places)


def _check(text: str, path: KeyPath, places: Places) -> None:
    name = text.partition(":")[0]
    if name == AUTO:
        raise places.error(path, "bad-method", f"'{text}': auto takes no number.", f"Type: {AUTO}")
    probe = Histogram()
    probe.add([-1.0, 0.5, 1.0])
    try:
        method(text)(probe)  # its bounds show when it is used
    except UnknownName as wrong:
        known = UnknownName(METHODS.kind, name, (*METHODS.names(), AUTO))
        sentence = known.sentence[0].lower() + known.sentence[1:]
        raise places.error(path, known.slug, sentence, known.remedy) from wrong
    except UsageError as wrong:
        raise places.error(path, wrong.slug, wrong.sentence, wrong.remedy) from wrong
