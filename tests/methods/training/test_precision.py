"""Named precisions: each is what it says, and shows in the row."""

import numpy as np
import pytest
from small import python

from otbench.errors import InputError
from otbench.methods import WeightClip
from otbench.methods.train import train, train_many
from otbench.methods.training.compiled_step import COMPILE_FROM, worth_compiling
from otbench.methods.training.engine import Engine
from otbench.problems import problem

PAIR = problem("translation", dim=8).sample(128, mode="coupled", seed=3)


def weights(dtype):
    method = WeightClip(widths=(16, 16), batch=32, steps=50, clip=0.1, eps=1e-4, dtype=dtype)
    return train(PAIR, method, seed=1).critic.weights


def test_bfloat16_products_give_a_critic_near_the_float32_one_but_not_the_same():
    for rough, fine in zip(weights("bfloat16"), weights("float32"), strict=True):
        assert not np.array_equal(rough, fine)
        np.testing.assert_allclose(rough, fine, atol=2e-3)  # 50 steps of 5e-5: at most 2.5e-3 apart


def test_float32_and_float64_agree_to_rounding():
    for single, double in zip(weights("float32"), weights("float64"), strict=True):
        np.testing.assert_allclose(single, double, atol=1e-6)


def test_tf32_without_a_cuda_device_is_refused():
    with pytest.raises(InputError, match='dtype "tf32" is a CUDA device\'s; use "float32", or --device cuda'):
        weights("tf32")


def test_the_precision_is_a_column_of_the_row():
    assert WeightClip(dtype="bfloat16").columns("method")["method.dtype"] == "bfloat16"


@pytest.mark.gpu
def test_tf32_products_are_named_and_leave_the_setting_as_it_was():
    import torch

    before = torch.get_float32_matmul_precision()
    method = WeightClip(widths=(64, 64), steps=64, clip=0.1, eps=1e-4)
    fine = train(PAIR, method, seed=1, device="cuda").critic.weights
    rough = train(PAIR, method.model_copy(update={"dtype": "tf32"}), seed=1, device="cuda").critic.weights
    assert torch.get_float32_matmul_precision() == before
    assert any(not np.array_equal(a, b) for a, b in zip(fine, rough, strict=True))


CLIPS = (0.01, 0.1, 1.0, 0.03, 0.3)


def engine(count, **how):
    methods = [WeightClip(widths=(16, 16), batch=32, clip=c, eps=e) for c, e in zip(CLIPS, EPSILONS, strict=True)]
    return Engine([PAIR] * count, methods[:count], [k // 2 for k in range(count)], "cpu", **how)


EPSILONS = (1e-4, 1e-4, 1e-3, 1e-4, 1e-2)


def test_the_compiled_step_is_the_engines_step_to_rounding():
    eager, compiled = engine(5), engine(5, compiled=True)
    assert compiled.compiled is not None
    eager.run(0, 50)
    compiled.run(0, 50)
    np.testing.assert_allclose(compiled.stack.parameters.numpy(), eager.stack.parameters.numpy(), atol=2e-6)


def test_a_critic_of_a_compiled_batch_does_not_depend_on_the_others_bit_for_bit():
    large, small = engine(5, compiled=True), engine(2, compiled=True)
    large.run(0, 64)
    small.run(0, 64)
    both = [e.stack.by_critic(e.stack.parameters)[:2].numpy() for e in (large, small)]
    np.testing.assert_array_equal(*both)


def test_a_critic_trained_alone_by_a_compiled_step_has_the_bits_it_has_in_company():
    recipes = [WeightClip(widths=(16, 9), batch=17, clip=c, steps=COMPILE_FROM) for c in CLIPS[:3]]
    assert worth_compiling(recipes[0], "cpu")
    together = train_many([PAIR] * 3, recipes, [0, 1, 2])
    alone = train_many([PAIR], recipes[1:2], [1])[0]
    assert alone.compiled == together[1].compiled
    for here, there in zip(alone.critic.weights, together[1].critic.weights, strict=True):
        np.testing.assert_array_equal(here, there)


@pytest.mark.slow
def test_without_a_compiler_the_step_is_the_eager_one_and_the_log_says_so(tmp_path):
    script = """
import logging, sys
logging.basicConfig(stream=sys.stdout, level="WARNING")
import otbench
from otbench.methods.training.compiled_step import COMPILE_FROM
pair = otbench.problem("translation", dim=2).sample(64, mode="coupled")
fitted = otbench.train(pair, otbench.WeightClip(widths=(4,), steps=COMPILE_FROM), seed=0)
print(fitted.status, fitted.compiled)
"""
    done = python(script, CXX=str(tmp_path / "no-such-compiler"), TORCHINDUCTOR_CACHE_DIR=str(tmp_path))
    assert "the training step is not compiled" in done.stdout
    assert done.stdout.splitlines()[-1] == "ok False"
