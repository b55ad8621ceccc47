"""FSIM: how alike two images are in phase congruency and gradient."""

import cv2
import numpy as np
import numpy.typing as npt
from numpy.fft import fft2, ifft2, ifftshift

from rdbench.metrics.luma import Plane, luma
from rdbench.metrics.metric import Metric
from rdbench.types import Image, Reconstruction

_PHASE_CONSTANT, _GRADIENT_CONSTANT = 0.85, 160.0
_N_SCALES, _N_ORIENTATIONS = 4, 4
_SHORTEST_WAVELENGTH, _STEP_OF_SCALES = 6.0, 2.0
_BANDWIDTH = 0.55  # sigma of the log-Gabor filter over its centre frequency
_ANGULAR_SIGMA = np.pi / _N_ORIENTATIONS / 1.2
_NOISE_SIGMAS, _NOISE_DIVISOR = 2.0, 1.7
_EPSILON = 1e-4
_VIEWED_SIDE = 256
SMALLEST_SIDE = 16

_SCHARR = np.array([[3, 0, -3], [10, 0, -10], [3, 0, -3]], np.float64) / 16

Spectrum = npt.NDArray[np.complex128]


def fsim(image: Image, reconstruction: Reconstruction) -> float | None:
    """Feature similarity of the luma.

    Source: Zhang, Zhang, Mou, Zhang, "FSIM: a feature similarity index for image quality
    assessment", IEEE Trans. Image Processing 20(8), 2011; phase congruency by Kovesi, "Image
    features from phase congruency", Videre 1(3), 1999, with the settings of the authors' program.

    Returns:
        A value in [0, 1], 1 for equal images; None where neither image has any feature, or
        where a side has fewer than 16 pixels.
    """
    if min(image.shape[:2]) < SMALLEST_SIDE:
        return None
    a, b = _shrink(luma(image)), _shrink(luma(reconstruction))
    phase_a, phase_b = phase_congruency(a), phase_congruency(b)
    gradient_a, gradient_b = _gradient(a), _gradient(b)
    similarity = _alike(phase_a, phase_b, _PHASE_CONSTANT)
    similarity *= _alike(gradient_a, gradient_b, _GRADIENT_CONSTANT)
    weight = np.maximum(phase_a, phase_b)
    total = float(weight.sum())
    return float((similarity * weight).sum() / total) if total > 0 else None


def _alike(a: Plane, b: Plane, constant: float) -> Plane:
    return (2 * a * b + constant) / (a**2 + b**2 + constant)


def _shrink(plane: Plane) -> Plane:
    """Means of squares, so that the shorter side has about 256 samples."""
    factor = max(1, round(min(plane.shape) / _VIEWED_SIDE))
    return _filter(plane, np.full((factor, factor), 1 / factor**2))[::factor, ::factor]


def _gradient(plane: Plane) -> Plane:
    return np.hypot(_filter(plane, _SCHARR), _filter(plane, _SCHARR.T))


def _filter(plane: Plane, kernel: Plane) -> Plane:
    """Convolution of the same size with zeros around, centred as MATLAB's ``conv2`` is."""
    height, width = kernel.shape
    anchor = ((width - 1) // 2, (height - 1) // 2)
    return np.asarray(
        cv2.filter2D(plane, cv2.CV_64F, kernel[::-1, ::-1], None, anchor, 0, cv2.BORDER_CONSTANT)
    )


def phase_congruency(plane: Plane) -> Plane:
    """Where the frequencies of a plane agree in phase, in [0, 1], same shape."""
    spectrum = fft2(plane)
    radius, angle = _polar_frequencies(plane.shape)
    bands = _log_gabor(radius)
    energy, amplitude = np.zeros(plane.shape), np.zeros(plane.shape)
    for number in range(_N_ORIENTATIONS):
        sector = _sector(angle, number * np.pi / _N_ORIENTATIONS)
        filters = [band * sector for band in bands]
        responses = [ifft2(spectrum * f) for f in filters]
        threshold = _noise_threshold(filters, responses[0])
        energy += np.maximum(_agreement(responses) - threshold, 0)
        amplitude += np.abs(responses).sum(axis=0)
    return np.divide(energy, amplitude, out=np.zeros_like(energy), where=amplitude > 0)


def _polar_frequencies(shape: tuple[int, ...]) -> tuple[Plane, Plane]:
    """Radius and angle of every frequency, in the order of ``fft2``."""
    y, x = (
        ifftshift(np.arange(n) - n // 2) / (n - n % 2 if n > 1 else 1)
        for n in shape
    )  # fmt: skip
    grid_y, grid_x = np.meshgrid(y, x, indexing="ij")
    radius = np.hypot(grid_x, grid_y)
    radius[0, 0] = 1
    return radius, np.arctan2(-grid_y, grid_x)


def _log_gabor(radius: Plane) -> list[Plane]:
    """Band-pass filters, shortest wavelength first, cut off before the corners."""
    low_pass = 1 / (1 + (radius / 0.45) ** 30)
    bands = []
    for scale in range(_N_SCALES):
        centre = 1 / (_SHORTEST_WAVELENGTH * _STEP_OF_SCALES**scale)
        band = np.exp(-(np.log(radius / centre) ** 2) / (2 * np.log(_BANDWIDTH) ** 2)) * low_pass
        band[0, 0] = 0
        bands.append(band)
    return bands


def _sector(angle: Plane, direction: float) -> Plane:
    difference = np.abs(np.arctan2(np.sin(angle - direction), np.cos(angle - direction)))
    return np.asarray(np.exp(-(difference**2) / (2 * _ANGULAR_SIGMA**2)))


def _agreement(responses: list[Spectrum]) -> Plane:
    """Local energy: amplitude along the mean phase, less what stands across it."""
    total = np.sum(responses, axis=0)
    mean = total / (np.abs(total) + _EPSILON)
    return np.asarray(
        sum(
            r.real * mean.real + r.imag * mean.imag
            - np.abs(r.real * mean.imag - r.imag * mean.real)
            for r in responses
        )
    )  # fmt: skip


def _noise_threshold(filters: list[Plane], finest: Spectrum) -> float:
    """Energy that noise alone would have, from the median of the finest band."""
    median = float(np.median(np.abs(finest) ** 2))
    noise_power = median / np.log(2) / float(np.sum(filters[0] ** 2))
    kernels = [ifft2(f).real * np.sqrt(f.size) for f in filters]
    squares = float(sum(np.sum(k**2) for k in kernels))
    products = float(sum(np.sum(a * b) for i, a in enumerate(kernels) for b in kernels[i + 1 :]))
    tau = np.sqrt(noise_power * (squares + 2 * products))
    expected = tau * np.sqrt(np.pi / 2)
    return float((expected + _NOISE_SIGMAS * tau * np.sqrt(2 - np.pi / 2)) / _NOISE_DIVISOR)


METRIC = Metric(name="fsim", title="FSIM (luma)", source="Zhang et al. 2011", function=fsim)
