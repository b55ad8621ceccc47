"""Published weights of QARV."""

from rdbench_codecs.learned.weights import Checkpoint

CHECKPOINTS = (
    Checkpoint(
        name="qarv",
        codec="qarv",
        url="https://huggingface.co/duanzh0/my-model-weights/resolve/main/qarv_base-2022-dec-12.pt",
        terms="published by the authors of QARV (Duan et al. 2023), non-commercial use",
    ),
)
