"""Adam for every parameter of a network, or Muon for its matrices and Adam for the rest.

Muon replaces the momentum of a matrix by the nearest matrix with orthonormal rows or columns, so
that directions of small gradient (the faint components of a transform) learn as fast as the others.
Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/
"""

from typing import Any, cast

import torch
from torch import Tensor, nn

from rdbench_codecs.training.recipe import Recipe

_AUXILIARY_RATE = 1e-3
_LEAST_SIDE = 8
"""Of a matrix that Muon updates."""


class Optimizers:
    """What updates the parameters of a network, at a learning rate held in a tensor.

    Nothing waits for the device, so that a CUDA graph can contain `step`.

    Args:
        network: what is trained, on its device.
        auxiliary: parameters of the auxiliary loss, always by Adam at a rate of their own.
        recipe: name of the optimizer, betas of Adam.
        learning_rate: of Adam, a scalar that may change between steps; Muon's steps are scaled to
            the size that Adam's would have.

    Attributes:
        main: the parameters of the main loss.
    """

    def __init__(
        self,
        network: nn.Module,
        auxiliary: list[nn.Parameter],
        recipe: Recipe,
        learning_rate: Tensor,
    ) -> None:
        matrices = _matrices(network) if recipe.optimizer == "muon" else []
        special = {id(p) for p in auxiliary}
        self.main = [p for p in network.parameters() if id(p) not in special]
        special |= {id(p) for p in matrices}
        others = [p for p in self.main if id(p) not in special]
        first, second = recipe.betas
        adam = torch.optim.Adam(
            [{"params": others}],
            learning_rate,
            (first, second),
            fused=True,
            capturable=learning_rate.is_cuda,
        )
        if auxiliary:
            adam.add_param_group({"params": auxiliary, "lr": _AUXILIARY_RATE})
        self._learning_rate = learning_rate
        self._optimizers: dict[str, torch.optim.Optimizer] = {"adam": adam}
        # Muon takes matrices and a rate that is a number. It works on updates of the kernels, their
        # filters as rows, which begin at 0 in every step and are scaled here.
        self._updates = [(p, nn.Parameter(torch.zeros_like(p).flatten(1))) for p in matrices]
        if self._updates:
            self._optimizers["muon"] = torch.optim.Muon(
                [update for _, update in self._updates],
                lr=1.0,
                weight_decay=0.0,
                adjust_lr_fn="match_rms_adamw",
            )

    def zero_grad(self) -> None:
        """Forget all gradients."""
        self._optimizers["adam"].zero_grad(set_to_none=True)
        for parameter, _ in self._updates:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Update what has a gradient."""
        for parameter, update in self._updates:
            update.zero_()
            update.grad = None if parameter.grad is None else parameter.grad.flatten(1)
        for optimizer in self._optimizers.values():
            cast(Any, optimizer).step()
        for parameter, update in self._updates:
            parameter.addcmul_(update.view(parameter.shape), self._learning_rate)

    def state_dict(self) -> dict[str, Any]:
        """All that a checkpoint must keep."""
        return {name: optimizer.state_dict() for name, optimizer in self._optimizers.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume from `state_dict`; how a step is computed stays as it is on this device."""
        for name, optimizer in self._optimizers.items():
            groups = optimizer.state_dict()["param_groups"]
            optimizer.load_state_dict({"state": state[name]["state"], "param_groups": groups})
        self._optimizers["adam"].param_groups[0]["lr"] = self._learning_rate


def _matrices(network: nn.Module) -> list[nn.Parameter]:
    """Weights of linear layers and convolutions; depth-wise ones and those of few channels are left
    to Adam, like gains, biases and normalizations."""
    kinds = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
    layers = [layer for layer in network.modules() if isinstance(layer, kinds)]
    weights = [cast(nn.Parameter, layer.weight) for layer in layers]
    return [w for w in weights if min(w.flatten(1).shape) >= _LEAST_SIDE and w.shape[1] > 1]
