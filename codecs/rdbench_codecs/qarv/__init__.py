"""QARV: quantization-aware ResNet VAE for lossy image compression (Duan et al., TPAMI 2023)."""

from rdbench_codecs.qarv.codec import Qarv
from rdbench_codecs.qarv.scalable import QarvScalable

__all__ = ["Qarv", "QarvScalable"]
