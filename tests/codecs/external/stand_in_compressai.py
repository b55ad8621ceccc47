"""CompressAI's interface around small networks: the zoo, tables, strings and a shape."""

import zlib

import torch


class Network(torch.nn.Module):
    def __init__(self, n=4, m=6):
        super().__init__()
        self.g_a = torch.nn.ModuleDict({"0": torch.nn.Conv2d(3, n, 2, 2)})
        self.g_a["6"] = torch.nn.Conv2d(n, m, 2, 2)
        self.register_buffer("_quantized_cdf", torch.zeros(0))

    def update(self):
        self._quantized_cdf = torch.ones(3)

    def compress(self, x):
        assert not self.training
        assert self._quantized_cdf.numel()
        small = torch.nn.functional.avg_pool2d(x, 4).mul(255).round().byte()
        strings = [[zlib.compress(small.numpy().tobytes())], [b"side"]]
        return {"strings": strings, "shape": small.shape[-2:]}

    def decompress(self, strings, shape):
        assert isinstance(shape, torch.Size)
        levels = torch.frombuffer(bytearray(zlib.decompress(strings[0][0])), dtype=torch.uint8)
        small = levels.reshape(1, 3, *shape).float() / 255
        return {"x_hat": torch.nn.functional.interpolate(small, scale_factor=4.0)}


class Estimate(torch.nn.Module):
    """A network without an entropy coder."""

    def __init__(self, level=0.5):
        super().__init__()
        self.level = level

    def forward(self, x):
        return {"x_hat": x * 0.5, "likelihoods": {"y": torch.full((1, 1, 8, 8), self.level)}}


model_architectures = {"mbt2018-mean": Network}


def image_models_of(quality, pretrained):
    assert not pretrained
    return Network(quality, quality)


image_models = {"mbt2018-mean": image_models_of}
