"""Names as papers print them."""

import re

from rdbench.analysis.delta import Method
from rdbench.curve import Curve
from rdbench.metrics import METRICS
from rdbench.published import facts

_METHODS: dict[Method, str] = {
    "poly3": "third-order polynomial",
    "pchip": "PCHIP interpolation",
    "akima": "Akima interpolation",
}
_ENDS = {".ms-ssim": " (MS-SSIM)", ".8bit": " (8 bit)"}


def printed_name(codec: str, label: str) -> str:
    """Return the name of a curve as a paper prints it, such as "VTM 18.0" for ``vtm18``.

    Args:
        codec: of the curve.
        label: of the curve; whatever it has in addition to the codec's name stays, in parentheses.
    """
    known = facts(codec).get("name")
    if known is None or not label.startswith(codec):
        return label
    stem = re.sub(r"(\.ms-ssim|\.8bit)+$", "", codec)
    rest = label.removeprefix(stem)
    for end, text in _ENDS.items():
        rest = rest.replace(end, text)
    settings = re.match(r":(\S+)", rest)
    if settings is not None:
        rest = f" ({settings[1].replace(',', ', ')}){rest[settings.end() :]}"
    return f"{known}{rest}"


def printed_label(label: str) -> str:
    """Return the name of a measured curve, or of an anchor, as a paper prints it."""
    return printed_name(re.split("[: ]", label)[0], label)


def printed_metric(metric: str) -> str:
    """Return the name of a metric as a paper prints it, such as "MS-SSIM" for ``ms_ssim``."""
    return "PSNR" if metric == "psnr" else METRICS[metric].title.partition(" (")[0]


def printed_method(method: Method) -> str:
    """Return the name of an interpolation as a paper prints it."""
    return _METHODS[method]


def name_of(curve: Curve) -> str:
    """Return the name of a curve as a paper prints it."""
    return printed_name(curve.codec, curve.label)
