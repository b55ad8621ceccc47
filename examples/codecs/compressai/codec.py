"""Networks of CompressAI's zoo: with the published weights, random ones, or those of a file."""

import torch
from compressai.zoo import image_models
from compressai.zoo.image import model_architectures
from safetensors.torch import load_file


def network(quality: int = 3, architecture: str = "mbt2018-mean", weights: str = "published"):
    """Return a network with ``compress``, ``decompress`` and ``update``.

    ``weights`` may be the path of a ``.safetensors`` file, as ``rdbench qvrf fix`` writes it.
    """
    torch.manual_seed(0)
    if weights in ("published", "random"):
        return image_models[architecture](quality, pretrained=weights == "published")
    state = load_file(weights)
    n, m = state["g_a.0.weight"].shape[0], state["g_a.6.weight"].shape[0]
    made = model_architectures[architecture](n, m)
    made.load_state_dict({**dict(made.named_buffers()), **state})
    return made
