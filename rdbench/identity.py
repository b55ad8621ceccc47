"""What an operating point is: its spec, curve, rate and weights, found out once for all uses."""

from collections.abc import Iterable
from dataclasses import dataclass

from rdbench.spec import rate_of, spec_of, values_of
from rdbench.types import Codec, CurveKey, Weights


@dataclass(frozen=True, slots=True)
class Identity:
    """Identity of an operating point as a `Record` keeps it; may hash a file of weights."""

    spec: str
    curve: CurveKey
    rate_parameter: str
    rate_value: float | None
    fingerprint: str
    weights: Weights | None


def identify(codec: Codec) -> Identity:
    """Return the identity of an operating point; Unavailable where its weights are missing."""
    weights = codec.identify_weights()
    fingerprint = weights.sha256 if weights else codec.fingerprint()
    return Identity(
        spec_of(codec), curve_of(codec, fingerprint), *rate_of(codec), fingerprint, weights
    )


def identified(codecs: Iterable[Codec]) -> dict[Codec, Identity]:
    """Return the identity of every operating point that can run here, each once.

    Raises:
        Unavailable: one cannot run on this machine.
    """
    points = dict.fromkeys(codecs)
    for point in points:
        point.check()
    return {point: identify(point) for point in points}


def curve_of(codec: Codec, fingerprint: str) -> CurveKey:
    """Return the curve of an operating point whose fingerprint is known."""
    settings = values_of(codec, leave_out=codec.rate_parameters)
    return CurveKey(codec.name, settings, fingerprint if codec.variable_rate else "")
