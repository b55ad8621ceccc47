"""SSIMULACRA 2.1: structural similarity at six scales of a perceptual colour space."""

import math

import cv2
import numpy as np
import numpy.typing as npt

from rdbench.metrics.colour import linear_rgb
from rdbench.metrics.metric import Metric
from rdbench.types import Image, Reconstruction

Pixels = npt.NDArray[np.float32]

SMALLEST_SIDE = 8
N_SCALES = 6
_C2 = 0.0009

# Linear sRGB to the absorbance of three kinds of cones, as in JPEG XL's XYB (ISO/IEC 18181-1).
_ABSORBANCE = np.array(
    [
        [0.30, 0.622, 0.078],
        [0.23, 0.692, 0.078],
        [0.24342268924547819, 0.20476744424496821, 0.55180986650955360],
    ]
)
_BIAS = np.float32(0.0037930732552754493)
_DARK = np.cbrt(_BIAS)

# Long, medium and short cones to X, Y and B - Y, scaled and shifted to about 0 to 1.
_OPPONENTS = np.array([[7, -7, 0], [0.5, 0.5, 0], [-0.5, -0.5, 1]])
_OFFSETS = np.array([0.42, 0.01, 0.55], np.float32)

# libjxl's recursive Gaussian of sigma 1.5 is exactly this filter of nine taps: three cosines, cut
# off at radius 5 (Charalampidis, "Recursive implementation of the Gaussian filter using truncated
# cosine functions", IEEE Trans. Signal Processing 64(14), 2016, equations 37 to 57).
_TAPS = (
    0.0094143678096537,
    0.036011114658364374,
    0.10933537277746032,
    0.2129285920104222,
    0.26462110548819856,
)
_WINDOW = np.array([*_TAPS, *_TAPS[-2::-1]])

# Per channel, scale and norm (mean, then 4-norm): structure, new edges, lost edges. Fitted by the
# authors to scores of people.
WEIGHTS = (
    0, 0.0007376606707406586, 0,
    0, 0.0007793481682867309, 0,
    0, 0.0004371155730107379, 0,
    1.1041726426657346, 0.00066284834129271, 0.00015231632783718752,
    0, 0.0016406437456599754, 0,
    1.8422455520539298, 11.441172603757666, 0,
    0.0007989109436015163, 0.000176816438078653, 0,
    1.8787594979546387, 10.94906990605142, 0,
    0.0007289346991508072, 0.9677937080626833, 0,
    0.00014003424285435884, 0.9981766977854967, 0.00031949755934435053,
    0.0004550992113792063, 0, 0,
    0.0013648766163243398, 0, 0,
    0, 0, 0,
    7.466890328078848, 0, 17.445833984131262,
    0.0006235601634041466, 0, 0,
    6.683678146179332, 0.00037724407979611296, 1.027889937768264,
    225.20515300849274, 0, 0,
    19.213238186143016, 0.0011401524586618361, 0.001237755635509985,
    176.39317598450694, 0, 0,
    24.43300999870476, 0.28520802612117757, 0.0004485436923833408,
    0, 0, 0,
    34.77906344483772, 44.835625328877896, 0,
    0, 0, 0,
    0, 0, 0,
    0, 0.0008680556573291698, 0,
    0, 0, 0,
    0, 0.0005313191874358747, 0,
    0.00016533814161379112, 0, 0,
    0, 0, 0,
    0.0004179171803251336, 0.0017290828234722833, 0,
    0.0020827005846636437, 0, 0,
    8.826982764996862, 23.19243343998926, 0,
    95.1080498811086, 0.9863978034400682, 0.9834382792465353,
    0.0012286405048278493, 171.2667255897307, 0.9807858872435379,
    0, 0, 0,
    0.0005130064588990679, 0, 0.00010854057858411537,
)  # fmt: skip


def ssimulacra2(image: Image, reconstruction: Reconstruction) -> float | None:
    """SSIMULACRA 2.1, within 0.1 of the authors' program.

    Its own builds differ by as much, because of their recursive filter. As there, an image with a
    side below 113 pixels has fewer scales than weights, and the first weights are used.

    Source: Sneyers, "SSIMULACRA 2", https://github.com/cloudinary/ssimulacra2, version 2.1.

    Returns:
        100 for equal images; 90 is visually lossless, 50 medium quality; may be negative. None
        where a side has fewer than 8 pixels.
    """
    if min(image.shape[:2]) < SMALLEST_SIDE:
        return None
    norms = features(image, reconstruction).ravel()
    error = 0.9562382616834844 * float(norms @ WEIGHTS[: len(norms)])
    error = error * (2.326765642916932 + error * (-0.020884521182843837
                                                  + error * 6.248496625763138e-05))  # fmt: skip
    return 100 - 10 * error**0.6276336467831387 if error > 0 else 100.0


def features(image: Image, reconstruction: Reconstruction) -> npt.NDArray[np.float64]:
    """Norms of the error maps, (3 channels, scales, 2 norms, 3 kinds of error)."""
    a, b = (np.asarray(linear_rgb(x), np.float32) for x in (image, reconstruction))
    scales = [_norms(_to_xyb(a), _to_xyb(b))]
    while len(scales) < N_SCALES and min(a.shape[:2]) >= SMALLEST_SIDE:
        a, b = _halve(a), _halve(b)
        scales.append(_norms(_to_xyb(a), _to_xyb(b)))
    return np.stack(scales, axis=1)


def _to_xyb(linear: Pixels) -> Pixels:
    cones = cv2.pow(np.maximum(cv2.transform(linear, _ABSORBANCE) + _BIAS, 0), 1 / 3)
    return np.asarray(cv2.transform(cones - _DARK, _OPPONENTS) + _OFFSETS)


def _halve(image: Pixels) -> Pixels:
    """Means of 2x2 pixels; an odd last row or column is repeated."""
    height, width = image.shape[:2]
    even = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    size = even.shape[1] // 2, even.shape[0] // 2
    return np.asarray(cv2.resize(even, size, interpolation=cv2.INTER_AREA))


def _norms(a: Pixels, b: Pixels) -> npt.NDArray[np.float64]:
    """Mean and 4-norm of the three error maps of each channel, (3, 2, 3)."""
    mean_a, mean_b = _blur(a), _blur(b)
    structure = (2 * (_blur(a * b) - mean_a * mean_b) + _C2) / (
        (_blur(a * a) - mean_a**2) + (_blur(b * b) - mean_b**2) + _C2
    )
    edges = (1 + np.abs(b - mean_b)) / (1 + np.abs(a - mean_a)) - 1
    maps = (1 - (1 - (mean_a - mean_b) ** 2) * structure, edges, -edges)
    return np.stack([_two_norms(np.maximum(error, 0)) for error in maps], axis=-1)


def _two_norms(error: Pixels) -> npt.NDArray[np.float64]:
    """Mean and 4-norm of each channel, (3, 2)."""
    square = error * error
    return np.array([cv2.mean(error)[:3], np.sqrt(np.sqrt(cv2.mean(square * square)[:3]))]).T


def _blur(image: Pixels) -> Pixels:
    """Local means; zeros lie around the image."""
    return np.asarray(
        cv2.sepFilter2D(image, cv2.CV_32F, _WINDOW, _WINDOW, borderType=cv2.BORDER_CONSTANT)
    )


METRIC = Metric(
    name="ssimulacra2",
    title="SSIMULACRA 2",
    source="Sneyers 2023, version 2.1; within 0.1 of the program",
    function=ssimulacra2,
    worst=-math.inf,
    best=100,
)
