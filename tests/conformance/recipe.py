"""Deterministic inputs for the conformance vectors in this folder.

A conformance vector pins a network to its published definition without shipping
its weights: every parameter is drawn from a generator seeded by the parameter's
own name, so any implementation that uses the published parameter names can be
filled with exactly the same numbers and must then give the same outputs.

Only numpy is needed.  See README.md for what each vector holds.
"""

import zlib

import numpy as np

# Spread of a layer's weights, by the layer's name, where 1 would saturate the outputs.
GAINS = {"posterior": 0.7, "z_proj": 0.4, "prior": 0.7}


def rng_for(key: str) -> np.random.Generator:
    """Generator seeded by the CRC-32 of ``key``."""
    return np.random.Generator(np.random.PCG64(zlib.crc32(key.encode())))


def weight(key: str, shape: tuple[int, ...]) -> np.ndarray:
    """Value of the parameter named ``key``, float32, of ``shape``.

    Args:
        key: name in the published checkpoint, e.g. ``dec_blocks.0.prior.weight``.
        shape: its shape; () for a scalar.
    """
    rng = rng_for(key)
    leaf = key.rsplit(".", 1)[-1]
    if key == "Gain":  # QVRF quantization regulators at their published start values
        return np.array([1.0, 1.3944, 1.9293, 2.6874, 3.7268, 5.1801, 7.1957, 10.0], np.float32)
    if leaf == "quantiles":  # (channels, 1, 3): lower tail, median, upper tail
        median = rng.normal(0, 0.3, shape[:1])
        return np.stack([median - 10, median, median + 10], -1).reshape(shape).astype(np.float32)
    if leaf.startswith("_matrix"):  # factorized prior: softplus keeps these positive
        return rng.normal(0.6, 0.2, shape).astype(np.float32)
    if leaf.startswith("_bias"):
        return rng.uniform(-0.5, 0.5, shape).astype(np.float32)
    if leaf.startswith("_factor"):
        return rng.normal(0, 0.2, shape).astype(np.float32)
    if leaf == "beta":  # GDN, stored in its square-root parametrization
        return rng.uniform(0.9, 1.1, shape).astype(np.float32)
    if leaf == "gamma" and len(shape) == 2:  # GDN
        return (rng.uniform(0, 0.02, shape) + 0.3 * np.eye(shape[0])).astype(np.float32)
    if leaf == "gamma":  # ConvNeXt layer scale, (1, channels, 1, 1)
        return rng.uniform(0.05, 0.2, shape).astype(np.float32)
    if len(shape) >= 2 and leaf == "weight":
        fan_in = int(np.prod(shape[1:]))
        spatial = len(shape) == 4 and shape[1] > 1 and shape[2] > 1
        gain = GAINS.get(key.rsplit(".", 2)[-2], 0.6 if spatial else 1.0)
        return rng.normal(0, gain / np.sqrt(fan_in), shape).astype(np.float32)
    bias = rng.normal(0, 0.1, shape)
    if key in ("entropy_parameters.4.bias", "h_s.4.bias"):  # scales come first: keep them positive
        bias[: shape[0] // 2] += 0.8
    return bias.astype(np.float32)


def image(name: str, height: int, width: int) -> np.ndarray:
    """A test image, uint8, (height, width, 3), RGB: smooth shading, edges and texture."""
    rng = rng_for(name)
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    planes = []
    for _ in range(3):
        fx, fy, phase = rng.uniform(0.01, 0.05, 3)
        shading = np.sin(2 * np.pi * (fx * x + fy * y) + 60 * phase)
        edge = np.where(
            x * rng.uniform(-1, 1) + y * rng.uniform(-1, 1) > rng.uniform(-20, 20), 0.5, -0.5
        )
        texture = rng.normal(0, 0.25, (height, width)) * (np.sin(0.05 * x) > 0)
        planes.append(shading + edge + texture)
    pixels = 128 + 55 * np.stack(planes, -1)
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
