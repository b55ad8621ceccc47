"""A codec of two ONNX networks: one gives latents of an image, the other an image of latents.

Images are float32 (1, 3, height, width) in [0, 1]. zlib takes the place of an entropy coder.
"""

import struct
import zlib

import numpy as np
import onnxruntime

SIZE = struct.Struct("<HHBHH")
MULTIPLE = 8  # of height and width


class OnnxCodec:
    def __init__(self, encoder: str, decoder: str, step: float = 0.1):
        self.step = step
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = 1, 3
        self.encoder, self.decoder = (
            onnxruntime.InferenceSession(path, options) for path in (encoder, decoder)
        )

    def run(self, network, tensor):
        (result,) = network.run(None, {network.get_inputs()[0].name: tensor.astype(np.float32)})
        return result

    def encode(self, image):
        height, width = image.shape[:2]
        padding = ((0, -height % MULTIPLE), (0, -width % MULTIPLE), (0, 0))
        x = np.pad(image, padding, mode="edge").transpose(2, 0, 1)[None] / 255
        y = np.clip(np.rint(self.run(self.encoder, x) / self.step), -128, 127).astype(np.int8)
        return SIZE.pack(height, width, *y.shape[1:]) + zlib.compress(y.tobytes(), 9)

    def decode(self, data):
        height, width, *shape = SIZE.unpack_from(data)
        y = np.frombuffer(zlib.decompress(data[SIZE.size :]), np.int8).reshape(1, *shape)
        x_hat = self.run(self.decoder, y * self.step)[0].transpose(1, 2, 0)
        return np.clip(x_hat[:height, :width], 0, 1)
