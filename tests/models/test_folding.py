"""Networks folded for inference compute the same outputs."""

import pytest
import torch

from src.models.config import TranslationConfig
from src.models.folding import for_inference, fuse, fuse_upsampling, quick_dtype
from src.models.image_translation import ResUnetGenerator
from src.models.winograd import WinogradConv

REFINES = {"mends": True}
SMALL = {"num_downs": 4, "ngf": 8, "max_widening": 4}


def with_statistics(**sizes) -> ResUnetGenerator:
    """A network of random weights whose norms have seen data, in eval mode."""
    torch.manual_seed(0)
    network = ResUnetGenerator(TranslationConfig(**sizes))
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 2)
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_(0, 0.2)
        elif isinstance(module, torch.nn.Conv2d) and not module.weight.any():
            module.reset_parameters()  # the last one of a refinement network begins at 0
    return network.eval().requires_grad_(False)


@pytest.mark.parametrize("sizes", [{}, REFINES], ids=["generates", "refines"])
def test_a_fused_network_has_the_same_output(sizes):
    network = with_statistics(**sizes, **SMALL)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    fast = fuse(network)
    images = torch.rand(2, network.config.inputs, 64, 48)
    expected, found = network(images), fast(images)
    assert expected.std() > 0.05
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    assert fast.config.mends == network.config.mends
    kinds = {type(module) for module in fast.modules()}
    assert not kinds & {torch.nn.BatchNorm2d, torch.nn.Upsample}
    after = network.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("bias", [True, False])
def test_upsampling_and_convolution_fuse_into_a_transposed_convolution(bias):
    conv = torch.nn.Conv2d(5, 7, 3, 1, 1, bias=bias, dtype=torch.float64)
    random = torch.random.get_rng_state()
    whole = fuse_upsampling(conv)
    assert torch.equal(torch.random.get_rng_state(), random)
    small = torch.randn(2, 5, 6, 9, dtype=torch.float64)
    large = torch.nn.functional.interpolate(small, scale_factor=2, mode="nearest")
    torch.testing.assert_close(whole(small), conv(large), atol=1e-12, rtol=0)


@pytest.mark.parametrize("shape", [(3, 6, 10), (2, 7, 10), (1, 5, 3)])
@pytest.mark.parametrize("bias", [True, False])
def test_winograd_convolution_equals_a_plain_one(shape, bias, monkeypatch):
    conv = torch.nn.Conv2d(5, 7, 3, padding=1, bias=bias, dtype=torch.float64)
    number, rows, columns = shape
    images = torch.randn(number, 5, rows, columns, dtype=torch.float64)
    images = images.contiguous(memory_format=torch.channels_last)
    fast = WinogradConv(conv)
    with torch.inference_mode():
        for most in (1, 2**20):  # frame by frame, and all at once
            monkeypatch.setattr("src.models.winograd.CACHED_BYTES", most)
            torch.testing.assert_close(fast(images), conv(images), atol=1e-12, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_wide_layers_use_winograd(dtype):
    network = with_statistics(num_downs=3, ngf=64, max_widening=4)
    fast = for_inference(network, "cpu", dtype)
    used = [module for module in fast.modules() if isinstance(module, WinogradConv)]
    # The innermost level and no other is 256 wide: two blocks of two convolutions.
    assert [tuple(module.weight.shape) for module in used] == 4 * [(16, 256, 256)]
    images = torch.rand(2, 6, 64, 48)
    with torch.inference_mode():
        expected, found = network(images), fast(images.to(dtype)).float()
    error = (found - expected).abs().mean() / expected.std()
    assert error < (1e-5 if dtype == torch.float32 else 0.02)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_a_network_is_fused_on_its_device():
    network = with_statistics(**REFINES, **SMALL)
    images = torch.rand(2, 9, 64, 48)
    expected = network(images)
    found = for_inference(network.to("cuda"), "cuda")(images.to("cuda", torch.bfloat16))
    assert (found.float().cpu() - expected).abs().mean() < 0.05 * expected.std()


def test_the_dtype_of_the_cpu():
    assert quick_dtype(torch.device("cpu")) in (torch.float32, torch.bfloat16)
