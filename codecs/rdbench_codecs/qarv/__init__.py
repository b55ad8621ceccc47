"""QARV: quantization-aware ResNet VAE for lossy image compression (Duan et al., TPAMI 2023)."""

from rdbench_codecs.qarv.codec import Qarv

__all__ = ["Qarv"]
