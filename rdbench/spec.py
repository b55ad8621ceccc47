"""Specs: the text that names operating points, and the way back from a point to its text.

A spec is ``NAME[:KEY=VALUE[,VALUE...][,KEY=VALUE...]]``: ``jpeg``, ``vtm18:qp=22,27,32,37``,
``jpeg:quality=85,subsampling=420``. NAME is that of a registered codec, or the path of a file that
describes one (`rdbench.plugins`), maybe with a class in it: ``mine.py:MyCodec:quality=1,2``. The
identity of a point is its spec, curve, rate and weights.
"""

import contextlib
import dataclasses
import itertools
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rdbench.errors import UsageError, closest
from rdbench.plugins import codec_class, codec_file
from rdbench.types import Codec, CurveKey, Weights, join_spec, kinds_of, wrong_value

_BOOLS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def settings_of(cls: type[Codec]) -> dict[str, dataclasses.Field[Any]]:
    """Settings of a codec as a spec writes them: name without trailing underscore -> field."""
    fields = dataclasses.fields(cls)  # type: ignore[arg-type]
    return {f.name.rstrip("_"): f for f in fields if f.init}


def get_codecs(spec: str) -> list[Codec]:
    """Return the operating points of ``spec``, in the order written.

    Where it gives no rate parameter, the codec's default ladder with the other settings kept.

    Args:
        spec: for example ``"qarv:lambda=16,512"``.

    Raises:
        UsageError: unknown codec or setting, or a value that does not fit.
    """
    cls, choices = _choices(spec)
    rows = itertools.product(*choices.values())
    points = [_make(cls, dict(zip(choices, row, strict=True))) for row in rows]
    if any(parameter in choices for parameter in cls.rate_parameters):
        return points
    return [point for codec in points for point in codec.ladder()]


def get_codec(spec: str, cls: type[Codec] | None = None) -> Codec:
    """Return the single operating point of ``spec``, with defaults for omitted settings.

    Args:
        spec: for example ``"jpeg:quality=85"``.
        cls: the codec's class; None for the one that is registered under the name.

    Raises:
        UsageError: as ``get_codecs``, or a setting has several values.
    """
    cls, choices = _choices(spec, cls)
    for values in choices.values():
        if len(values) > 1:
            raise UsageError(f"{spec!r} names {len(values)} operating points; give one")
    return _make(cls, {name: value for name, (value,) in choices.items()})


def _choices(spec: str, cls: type[Codec] | None = None) -> tuple[type[Codec], dict[str, list[Any]]]:
    """The class, and the values of each field that ``spec`` gives."""
    name, values = _split(spec)
    cls = cls or codec_class(name)
    known = settings_of(cls)
    for key in values:
        if key not in known:
            hint = closest(key, known) or f"; it has {', '.join(known) or 'none'}"
            raise UsageError(f"codec {name!r} has no setting {key!r}{hint}")
    fields, kinds = {key: known[key].name for key in values}, kinds_of(cls)
    return cls, {
        fields[key]: [_convert(text, kinds[fields[key]], name, key) for text in texts]
        for key, texts in values.items()
    }


def split(spec: str) -> tuple[str, str]:
    """Return the name of a spec, and its settings as written, "" where there are none."""
    name, _, settings = spec.partition(":")
    member, _, others = settings.partition(":")
    if member.isidentifier() and codec_file(name):
        name, settings = f"{name}:{member}", others
    return name.strip(), settings


def _split(spec: str) -> tuple[str, dict[str, list[str]]]:
    name, rest = split(spec)
    values: dict[str, list[str]] = {}
    key = ""
    for part in rest.split(",") if rest else []:
        left, equals, right = part.partition("=")
        if equals:
            key, part = left.strip(), right
            if key in values:
                raise UsageError(f"{spec!r} gives {key!r} twice")
            values[key] = []
        if not key or not part.strip():
            raise UsageError(f"cannot read {spec!r}: write NAME:KEY=VALUE,VALUE,KEY=VALUE")
        values[key].append(part.strip())
    return name, values


def _convert(text: str, kinds: Iterable[Any], codec: str, key: str) -> Any:
    """Convert ``text`` to the first of the types of a setting that it fits."""
    for kind in kinds:
        if kind is bool:
            if text.lower() in _BOOLS:
                return _BOOLS[text.lower()]
        elif values := [value for value in typing.get_args(kind) if str(value) == text]:
            return values[0]
        elif not typing.get_args(kind):
            with contextlib.suppress(ValueError):
                return kind(text)
    raise wrong_value(codec, key, text, kinds)


def _make(cls: type[Codec], settings: Mapping[str, Any]) -> Codec:
    try:
        return cls(**settings)
    except (TypeError, ValueError) as error:
        raise UsageError(f"codec {cls.name!r}: {error}") from None


def spec_of(codec: Codec) -> str:
    """The spec that rebuilds ``codec``, every setting of its identity written out."""
    return join_spec(codec.name, values_of(codec))


def values_of(codec: Codec, leave_out: Iterable[str] = ()) -> tuple[tuple[str, str], ...]:
    """(name, value) of a codec's settings, those of how to run it and ``leave_out`` apart."""
    kinds = kinds_of(type(codec))
    return tuple(
        (name, _text(getattr(codec, field.name), kinds[field.name]))
        for name, field in settings_of(type(codec)).items()
        if field.compare and field.name not in leave_out and getattr(codec, field.name) is not None
    )


def given_settings(spec: str) -> set[tuple[str, str]]:
    """(name, value) of the settings that ``spec`` gives, each as ``values_of`` writes it.

    Raises:
        UsageError: unknown codec, setting or value, or one that sets the rate.
    """
    cls, choices = _choices(spec)
    for parameter in cls.rate_parameters:
        if parameter in choices:
            name = parameter.rstrip("_")
            raise UsageError(f"{spec!r}: {name} moves along the curve of {cls.name}; leave it out")
    return {
        (field.rstrip("_"), _text(value, kinds_of(cls)[field]))
        for field, values in choices.items()
        for value in values
    }


def _text(value: Any, kinds: Iterable[Any]) -> str:
    """A setting as a spec writes it; a whole number given for a float is that float."""
    is_float = type(value) is int and int not in kinds and float in kinds
    return str(float(value) if is_float else value)


def rate_of(codec: Codec) -> tuple[str, float | None]:
    """Name and value of the setting that sets the rate; ("", None) where there is none."""
    for parameter in codec.rate_parameters:
        value = getattr(codec, parameter)
        if value is not None:
            return parameter.rstrip("_"), float(value)
    return "", None


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
    is_all = weights and not codec.description()  # then weights are hashed once
    fingerprint = weights.sha256 if weights and is_all else codec.fingerprint()
    return Identity(
        spec_of(codec), curve_of(codec, fingerprint), *rate_of(codec), fingerprint, weights
    )


def identified(codecs: Iterable[Codec]) -> dict[Codec, Identity]:
    """Check that operating points can run on this machine; return each once, with its identity.

    Raises:
        Unavailable: one cannot run on this machine.
    """
    points = dict.fromkeys(codecs)
    for point in points:
        point.check()
    return {point: identify(point) for point in points}


def require_files(codecs: Iterable[Codec]) -> None:
    """Refuse codecs that only estimate their rate, where files or times are needed.

    Raises:
        UsageError: there is one.
    """
    for codec in codecs:
        if codec.estimated:
            raise UsageError(
                f"codec {codec.name!r} only estimates its rate: it writes no file, and its times "
                "are not those of coding; only `rdbench run` takes it"
            )


def curve_of(codec: Codec, fingerprint: str) -> CurveKey:
    """Return the curve of an operating point whose fingerprint is known."""
    settings = values_of(codec, leave_out=codec.rate_parameters)
    return CurveKey(codec.name, settings, fingerprint if codec.variable_rate else "")
