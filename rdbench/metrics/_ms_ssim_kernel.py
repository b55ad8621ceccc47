"""The inner loops of MS-SSIM, compiled by Numba at first import and kept on disk from then on.

It is a module of its own because importing Numba takes the better part of a second, which only
those pay who compute MS-SSIM. The weighted sums are written out: only so does the compiler turn
them into vector instructions.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

WINDOW = 11
C2 = np.float32((0.03 * 255) ** 2)

_Plane = npt.NDArray[np.float32]

# exp(-x^2 / (2 * 1.5^2)) for x = 5 ... 0 over its sum, to the last bit as pytorch-msssim has it in
# single precision: that they sum to 3e-8 less than 1 shows in the variance of bright, flat areas.
_W0, _W1, _W2, _W3, _W4, _W5 = np.array(
    [0.0010283804, 0.007598758, 0.036000773, 0.10936069, 0.21300553, 0.26601171], np.float32
)
GAUSSIAN = np.array([_W0, _W1, _W2, _W3, _W4, _W5, _W4, _W3, _W2, _W1, _W0])

_OPTIONS: dict[str, Any] = {
    "fastmath": {"contract", "reassoc", "nsz"},
    "error_model": "numpy",
    "nogil": True,
}
_inline: Callable[[Any], Any] = njit(inline="always", **_OPTIONS)


def _compile(*signatures: str) -> Callable[[Any], Any]:
    """A decorator that compiles for these types; the code stays on disk where that is possible."""

    def decorator(function: Any) -> Any:
        try:
            return njit(list(signatures), cache=True, **_OPTIONS)(function)
        except RuntimeError:  # no folder can be written
            return njit(list(signatures), **_OPTIONS)(function)

    return decorator


@_inline
def _gauss(
    a: float, b: float, c: float, d: float, e: float, f: float,
    g: float, h: float, i: float, j: float, k: float,
) -> Any:  # fmt: skip
    """Weighted sum of eleven samples under the window."""
    return _W0 * (a + k) + _W1 * (b + j) + _W2 * (c + i) + _W3 * (d + h) + _W4 * (e + g) + _W5 * f


@_inline
def _along(v: _Plane, x: int) -> Any:
    """Weighted sum of eleven neighbours in a row."""
    return _gauss(
        v[x], v[x + 1], v[x + 2], v[x + 3], v[x + 4], v[x + 5],
        v[x + 6], v[x + 7], v[x + 8], v[x + 9], v[x + 10],
    )  # fmt: skip


@_inline
def _down(v: _Plane, y: int, mean: _Plane, square: _Plane) -> None:
    """Weighted sums of eleven rows from ``y`` on, and of their squares."""
    for x in range(v.shape[1]):
        a, b, c, d, e, f = v[y, x], v[y + 1, x], v[y + 2, x], v[y + 3, x], v[y + 4, x], v[y + 5, x]
        g, h, i, j, k = v[y + 6, x], v[y + 7, x], v[y + 8, x], v[y + 9, x], v[y + 10, x]
        mean[x] = _gauss(a, b, c, d, e, f, g, h, i, j, k)
        square[x] = _gauss(
            a * a, b * b, c * c, d * d, e * e, f * f, g * g, h * h, i * i, j * j, k * k
        )


@_compile(
    "void(u1[:,::1], u1[:,::1], f4, f4[:,::1], f4[:,::1])",
    "void(u1[:,::1], f4[:,::1], f4, f4[:,::1], f4[:,::1])",
)
def sum_and_difference(
    x: npt.NDArray[np.uint8], y: npt.NDArray[Any], scale: float, s: _Plane, d: _Plane
) -> None:
    """Write ``x + scale * y`` to ``s`` and ``x - scale * y`` to ``d``, all (height, width)."""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            a, b = np.float32(x[i, j]), scale * np.float32(y[i, j])
            s[i, j] = a + b
            d[i, j] = a - b


@_compile("f8(f4[:,::1], f4[:,::1])")
def contrast_loss(s: _Plane, d: _Plane) -> float:
    """Sum over all windows of var d / (var s + var d + 2 C2), half of what the index lacks to 1.

    Args:
        s, d: sum and difference of two planes, float32, (height, width), both sides at least 11.
    """
    height, width = s.shape
    mean_s, square_s = np.empty(width, np.float32), np.empty(width, np.float32)
    mean_d, square_d = np.empty(width, np.float32), np.empty(width, np.float32)
    total = 0.0
    for y in range(height - WINDOW + 1):
        _down(s, y, mean_s, square_s)
        _down(d, y, mean_d, square_d)
        row: Any = np.float32(0)
        for x in range(width - WINDOW + 1):
            ms, md = _along(mean_s, x), _along(mean_d, x)
            var_s, var_d = _along(square_s, x) - ms * ms, _along(square_d, x) - md * md
            row += var_d / (var_s + var_d + 2 * C2)
        total += row
    return total
