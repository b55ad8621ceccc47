"""Write encoder.onnx and decoder.onnx: one convolution each, a DCT of blocks of 8x8 per channel.

A stand-in for networks of your own, which torch.onnx.export writes.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

k, n = np.mgrid[0:8, 0:8]
dct = np.cos((2 * n + 1) * k * np.pi / 16) * np.where(k == 0, np.sqrt(1 / 8), 0.5)
basis = np.einsum("ux,vy->uvxy", dct, dct).reshape(64, 1, 8, 8)
weights = np.concatenate([basis] * 3).astype(np.float32)

for name, op, (before, after) in (
    ("encoder", "Conv", (3, 192)),
    ("decoder", "ConvTranspose", (192, 3)),
):
    node = helper.make_node(op, ["x", "w"], ["y"], kernel_shape=[8, 8], strides=[8, 8], group=3)
    x, y = (
        helper.make_tensor_value_info(
            letter, TensorProto.FLOAT, [1, channels, side + "h", side + "w"]
        )
        for letter, channels, side in (("x", before, "i"), ("y", after, "o"))
    )
    graph = helper.make_graph([node], name, [x], [y], [numpy_helper.from_array(weights, "w")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    onnx.save(model, Path(__file__).with_name(f"{name}.onnx"))
