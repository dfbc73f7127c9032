import subprocess
import sys

import pytest

from tensordyno.errors import SpecError
from tensordyno.plan.calibration import check_methods
from tensordyno.spec.places import Places
from tensordyno.spec.schema import CalibrationAxes

PLACES = Places({("calibration", "methods"): "a.yaml:4"})


def check(*methods):
    check_methods(CalibrationAxes(methods=methods), ("calibration",), PLACES)


def test_every_method_of_the_catalogue_and_auto_will_do():
    check("minmax", "percentile", "percentile:99.9", "percentile:100", "mse", "entropy", "auto")


@pytest.mark.parametrize(
    ("method", "slug", "says"),
    [
        (
            "entropi",
            "unknown-calibration-method",
            "there is no calibration method called 'entropi'. Did you mean",
        ),
        ("aut", "unknown-calibration-method", "Did you mean auto?"),
        ("percentil:99", "unknown-calibration-method", "called 'percentil'. Did you mean percentile?"),
        ("", "unknown-calibration-method", "Known: auto, entropy, minmax, mse, percentile."),
        ("mse:3", "bad-method", "The method mse takes no number. Type: mse"),
        ("percentile:high", "bad-method", "'high' in 'percentile:high' is no number."),
        ("percentile:", "bad-method", "'' in 'percentile:' is no number."),
        ("percentile:0", "bad-method", "0"),
        ("percentile:100.1", "bad-method", "100.1"),
        ("percentile:nan", "bad-method", "nan"),
        ("auto:3", "bad-method", "'auto:3': auto takes no number. Type: auto"),
    ],
)
def test_another_method_is_one_line_with_its_place(method, slug, says):
    with pytest.raises(SpecError) as caught:
        check("minmax", method)
    line = caught.value.line()
    assert line.startswith("a.yaml:4: calibration.methods[1]: ") and line.endswith(f"[{slug}]")
    assert says in line and "\n" not in line and caught.value.exit_code == 2


def test_the_catalogue_is_asked_without_any_framework():
    program = (
        "import sys; from tensordyno.plan.calibration import check_methods;"
        "from tensordyno.spec.schema import CalibrationAxes; from tensordyno.spec.places import Places;"
        "check_methods(CalibrationAxes(methods=('entropy', 'mse', 'percentile', 'minmax')), (), Places());"
        "print([m for m in ('torch', 'onnx', 'onnxruntime', 'openvino', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
