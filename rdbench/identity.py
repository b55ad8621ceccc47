"""What an operating point is: its spec, curve, rate and weights, found out once for all uses."""

from dataclasses import dataclass

from rdbench.spec import rate_of, spec_of, values_of
from rdbench.types import Codec, CurveKey, Weights


@dataclass(frozen=True, slots=True)
class Identity:
    """Identity of an operating point; finding it out may hash a file of weights.

    Attributes:
        spec: every setting written out.
        curve: what it shares with the other points of its curve.
        rate_parameter, rate_value: the setting that gives the rate, and its value; "" and None
            where there is none.
        fingerprint: the codec's fingerprint.
        weights: the codec's weights, or None.
    """

    spec: str
    curve: CurveKey
    rate_parameter: str
    rate_value: float | None
    fingerprint: str
    weights: Weights | None


def identify(codec: Codec) -> Identity:
    """Return the identity of an operating point.

    Raises:
        Unavailable: its weights are missing.
    """
    weights = codec.identify_weights()
    fingerprint = weights.sha256 if weights else codec.fingerprint()
    return Identity(
        spec_of(codec), curve_of(codec, fingerprint), *rate_of(codec), fingerprint, weights
    )


def curve_of(codec: Codec, fingerprint: str) -> CurveKey:
    """Return the curve of an operating point whose fingerprint is known."""
    settings = values_of(codec, leave_out=codec.rate_parameters)
    return CurveKey(codec.name, settings, fingerprint if codec.variable_rate else "")
