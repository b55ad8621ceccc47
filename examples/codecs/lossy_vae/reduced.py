"""Their network in a configuration of rdbench: ``qarv_base`` takes no widths, depths or kernels."""

import json
from functools import partial

from lvae.models import common
from lvae.models.qarv.model import VariableRateLossyVAE, VRLVBlockBase
from safetensors import safe_open

Block = common.ConvNeXtBlockAdaLN
TAPS = [f"enc_s{pixels}" for pixels in (64, 32, 16, 8)]
IMAGE = {"im_shift": -0.4546259594901961, "im_scale": 3.67572653978347}
OTHERS = {**IMAGE, "max_stride": 64, "sin_period": 64}


def network(path):
    """Return the network of a ``.safetensors`` file of rdbench."""
    with safe_open(path, "pt") as file:
        config = {"blocks_after": [1, 1, 1, 1, 0], **json.loads(file.metadata()["config"])}
        state = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
    width = config["embedding_channels"]
    Block.default_embedding_dim = VRLVBlockBase.default_embedding_dim = width
    control = {"lmb_embed_dim": (256, width), "lmb_range": config["lambda_range"]}
    blocks = {"enc_blocks": encoder(config), "dec_blocks": decoder(config)}
    made = VariableRateLossyVAE({**blocks, **control, **OTHERS})
    tables = {k: v for k, v in made.state_dict().items() if "discrete_gaussian" in k}
    made.load_state_dict({**tables, **state})
    return made


def encoder(config):
    """Blocks from the image to features of 64x64 pixels."""
    widths, blocks = config["encoder_widths"], []
    for i, width in enumerate(widths):
        if i:
            blocks.append(Block(widths[i - 1], kernel_size=config["join_kernel"]))
        blocks.append(common.patch_downsample((3, *widths)[i], width, rate=2 if i else 4))
        kernel, depth = config["encoder_kernels"][i], config["encoder_depths"][i]
        blocks += [Block(width, kernel_size=kernel) for _ in range(depth)]
        blocks += [common.SetKey(TAPS[-i])] if i else []
    return blocks


def decoder(config):
    """Blocks from features of 64x64 pixels to the image."""
    widths, blocks = config["decoder_widths"], []
    for i, width in enumerate(widths):
        kernel, ratio = config["decoder_kernels"][i], config["decoder_ratios"][i]
        options = {"kernel_size": kernel, "mlp_ratio": ratio}
        block = partial(Block, width, **options)
        blocks += [block() for _ in range(config["blocks_before"][i])]
        if i < len(TAPS):
            sizes = width, config["latent_channels"][i], TAPS[i], config["encoder_widths"][-1 - i]
            blocks += [VRLVBlockBase(*sizes, **options) for _ in range(config["latents"][i])]
        blocks += [common.CompresionStopFlag()] if i == len(TAPS) - 1 else []
        blocks += [block() for _ in range(config["blocks_after"][i])]
        is_last = i == len(widths) - 1
        blocks.append(common.patch_upsample(width, (*widths, 3)[i + 1], rate=4 if is_last else 2))
    return blocks
