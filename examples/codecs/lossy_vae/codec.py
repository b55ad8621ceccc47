"""QARV in its authors' program, lossy-vae. A file is what their ``compress_file`` writes."""

import struct

import torch
from lvae.models.qarv.zoo import qarv_base
from lvae.utils.coding import pad_divisible_by
from PIL import Image
from reduced import network
from torchvision.transforms.functional import to_tensor

SIZE = struct.Struct("<2H")


class Qarv:
    """``weights``: "random", a ``.pt`` file of the authors, a ``.safetensors`` file of rdbench."""

    def __init__(self, lmb: float = 512.0, weights: str = "random"):
        torch.manual_seed(0)
        self.lmb = lmb
        self.model = network(weights) if weights.endswith(".safetensors") else qarv_base()
        if weights.endswith(".pt"):
            self.model.load_state_dict(torch.load(weights, map_location="cpu")["model"])
        self.model.eval()
        self.model.compress_mode()

    def compress(self, image):
        padded = to_tensor(pad_divisible_by(Image.fromarray(image), div=64))
        return SIZE.pack(*image.shape[:2]) + self.model.compress(padded[None], self.lmb)

    def decompress(self, data):
        height, width = SIZE.unpack_from(data)
        x_hat = self.model.decompress(data[SIZE.size :])
        return x_hat[0, :, :height, :width].permute(1, 2, 0).numpy()
