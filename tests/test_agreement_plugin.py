"""The pytest plugin: estimates of W1 inside and outside of their limits, and what a failure says."""

from pathlib import Path

import pytest
from small import python

pytest_plugins = ["pytester"]

DOCUMENT = (Path(__file__).parent.parent / "docs" / "agreement.md").read_text()

HEAD = """
import numpy as np, pytest, torch
rng = np.random.default_rng(0)
x, y = rng.normal(size=(20, 2)), rng.normal(size=(30, 2)) + 1
W1 = __import__("otbench").solve_exact(x, y).w1
"""


@pytest.fixture
def agreed(pytester: pytest.Pytester):
    """What pytest says of tests with the plugin."""

    def run(text: str, *arguments: str) -> pytest.RunResult:
        pytester.makepyfile(HEAD + text)
        pytester.makeini("[pytest]\naddopts = -p no:cacheprovider --strict-markers")
        return pytester.runpytest_inprocess("-p", "otbench.pytest_agreement", *arguments)

    return run


def test_estimates_inside_their_limits_pass(agreed) -> None:
    done = agreed("""
def test_of_a_number(otbench_agreement):
    for share in (0, 0.3, 1):
        assert otbench_agreement(share * W1, x, y).ratio == pytest.approx(share)
def test_of_a_tensor_with_a_graph(otbench_agreement):
    otbench_agreement(torch.tensor([0.5 * W1], requires_grad=True) * 1, torch.tensor(x), torch.tensor(y))
def test_of_a_critic(otbench_agreement):
    f = lambda z: -0.5 * z[:, 0]
    found = otbench_agreement(f, x, y)
    assert found.estimate == pytest.approx(f(x).mean() - f(y).mean())
@pytest.mark.otbench_agreement(2, high=3)
class TestLimits:
    def test_of_a_class(self, otbench_agreement):
        otbench_agreement(2.5 * W1, x, y)
    @pytest.mark.otbench_agreement(low=-1, high=0)
    def test_the_nearest_marker_counts(self, otbench_agreement):
        otbench_agreement(-0.5 * W1, x, y)
        otbench_agreement(0.5 * W1, x, y, high=1)
def test_of_equal_samples(otbench_agreement):
    assert otbench_agreement(0.0, x, x).ratio == 1
def test_weights_and_images(otbench_agreement):
    w = np.arange(1, 21) / 210
    otbench_agreement(0.1, x, y, w)
    otbench_agreement(0.1, x.reshape(20, 1, 2, 1), y.reshape(30, 1, 2, 1))
def test_float32_rounds(otbench_agreement):
    otbench_agreement(float(np.nextafter(np.float32(W1), np.float32(9))), x, y)
""")
    done.assert_outcomes(passed=8)


@pytest.mark.parametrize(("call", "said"), [
    ("1.01 * W1, x, y", "is 1.01 of exact W1, above [0, 1]"),
    ("-0.5 * W1, x, y", "is -0.5 of exact W1, below [0, 1]"),
    ("0.5 * W1, x, y, low=0.75", "is 0.5 of exact W1, below [0.75, 1]"),
    ("lambda z: -9 * z[:, 0], x, y", "of exact W1, above [0, 1]"),
    ("0.1, x, x", "raw 0.1 is inf of exact W1, above [0, 1]"),
    ("float('nan'), x, y", "raw nan is nan of exact W1, and must be a number in [0, 1]"),
    ("float('inf'), x, y, high=float('inf')", "and must be a number in [0, inf]"),
    ("[1, 2], x, y", "an estimate is one number; got shape (2,)"),
    ("0, x, y, low=2, high=1", "low must be at most high; got 2 and 1"),
])  # fmt: skip
def test_an_estimate_outside_fails_and_says_why(call: str, said: str, agreed) -> None:
    done = agreed(f"def test_it(otbench_agreement):\n    otbench_agreement({call})\n")
    done.assert_outcomes(failed=1)
    text = done.stdout.str()
    assert said in text
    if "raw" in text:
        assert "exact W1 " in text
        assert "proved to lie in [" in text
    assert "def _measured" not in text  # the trace ends in the test


def test_a_failure_of_several_lines_names_the_values(agreed) -> None:
    done = agreed("def test_it(otbench_agreement):\n    otbench_agreement(2 * W1, x, y)\n")
    (line,) = [line for line in done.stdout.lines if "Failed: otbench_agreement: raw" in line and "E " in line]
    raw, ratio = (float(line.split(word)[1].split()[0]) for word in ("raw ", " is "))
    assert ratio == pytest.approx(2)
    proved = next(line for line in done.stdout.lines if "exact W1" in line and "proved" in line)
    exact = float(proved.split("exact W1 ")[1].split(",")[0])
    low, high = (float(part) for part in proved.split("[")[1].rstrip("]").split(","))
    assert low <= exact * (1 + 1e-9)
    assert exact <= high * (1 + 1e-9)
    assert raw == pytest.approx(2 * exact, rel=1e-8)


@pytest.mark.parametrize("marker", ["(1, 2, 3)", "(least=1)", "('a')"])
def test_a_marker_that_is_not_understood_is_told(marker: str, agreed) -> None:
    done = agreed(f"@pytest.mark.otbench_agreement{marker}\ndef test_it(otbench_agreement):\n    pass\n")
    done.assert_outcomes(errors=1)
    assert "takes low and high, as (0.5, 1.0)" in done.stdout.str()


def test_the_tests_of_the_document_pass(agreed) -> None:
    done = agreed(DOCUMENT.partition("```python\n")[2].partition("```")[0])
    done.assert_outcomes(passed=2)


def test_nothing_heavy_is_loaded_before_a_test_asks() -> None:
    code = """
import sys
import pytest
import otbench.pytest_agreement
found = [name for name in ("torch", "ot", "numpy", "pandas", "pydantic", "scipy") if name in sys.modules]
assert not found, found
"""
    done = python(code)
    assert done.returncode == 0, done.stderr
