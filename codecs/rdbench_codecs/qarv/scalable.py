"""Scalable coding with QARV: its file cut after a latent (Appendix G, Figure 15)."""

from dataclasses import dataclass, replace
from typing import ClassVar, Self

from rdbench.errors import BitstreamError, EncoderError, Unavailable
from rdbench.types import Bitstream, Image
from rdbench_codecs.learned.base import FloatImage
from rdbench_codecs.qarv.codec import Qarv
from rdbench_codecs.qarv.config import BASE


@dataclass(frozen=True)
class QarvScalable(Qarv):
    """QARV's file of one lambda, cut after one of its latents.

    Attributes:
        kept: latents in the file; the decoder takes the prior mean for the rest.
    """

    name: ClassVar[str] = "qarv-scalable"
    title: ClassVar[str] = "QARV, its file cut after a latent"
    rate_parameters: ClassVar[tuple[str, ...]] = ("kept",)
    ladder_values: ClassVar[tuple[int, ...]] = tuple(range(1, BASE.n_latents + 1))

    kept: int = BASE.n_latents

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_range("kept", self.kept, 1, 255)

    def ladder(self) -> tuple[Self, ...]:
        """Return one point per latent of the weights, or of the published model as a fallback."""
        try:
            n_latents = self.config().n_latents
        except Unavailable:
            n_latents = BASE.n_latents
        return tuple(replace(self, kept=kept) for kept in range(1, n_latents + 1))

    def encode(self, image: Image) -> Bitstream:
        """The first bytes of the file that `Qarv` writes."""
        whole = super().encode(image)
        n_latents = len(whole.segments) - 1
        if self.kept > n_latents:
            raise EncoderError(
                f"these weights have {n_latents} latents, kept is {self.kept}; "
                f"ask for {self.name}:kept={n_latents} or less"
            )
        segments = whole.segments[: 1 + self.kept]
        return Bitstream(whole.data[: sum(s.n_bytes for s in segments)], segments)

    def decode(self, data: bytes) -> FloatImage:
        """The image; the file must hold ``kept`` latents and nothing else."""
        header, segments = self.unpack(data)
        n_whole = len(segments) - segments.count(None)
        if n_whole != self.kept:
            raise BitstreamError(f"the file holds {n_whole} whole latents, not {self.kept}")
        return self.decode_segments(header, segments)
