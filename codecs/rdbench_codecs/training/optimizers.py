"""Adam for every parameter of a network, or Muon for its matrices and Adam for the rest.

Muon replaces the momentum of a matrix by the nearest matrix with orthonormal rows or columns, so
that directions of small gradient (the faint components of a transform) learn as fast as the others.
Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/
"""

from typing import Any, cast

import torch
from torch import nn

_AUXILIARY_RATE = 1e-3
_LEAST_SIDE = 8
"""Of a matrix that Muon updates."""


class Optimizers:
    """What updates the parameters of a network.

    Args:
        network: what is trained.
        auxiliary: parameters of the auxiliary loss, always by Adam at a rate of their own.
        name: ``adam`` or ``muon``.

    Attributes:
        main: the parameters of the main loss.
    """

    def __init__(self, network: nn.Module, auxiliary: list[nn.Parameter], name: str) -> None:
        matrices = _matrices(network) if name == "muon" else []
        special = {id(p) for p in auxiliary}
        self.main = [p for p in network.parameters() if id(p) not in special]
        special |= {id(p) for p in matrices}
        others = [p for p in self.main if id(p) not in special]
        adam = torch.optim.Adam([{"params": others}], foreach=True)
        if auxiliary:
            adam.add_param_group({"params": auxiliary, "lr": _AUXILIARY_RATE})
        self._optimizers: dict[str, torch.optim.Optimizer] = {"adam": adam}
        # Muon takes matrices only: it works on copies of the kernels, their filters as rows.
        self._copies = [(p, nn.Parameter(p.detach().flatten(1).clone())) for p in matrices]
        if self._copies:
            self._optimizers["muon"] = torch.optim.Muon(
                [copy for _, copy in self._copies],
                weight_decay=0.0,
                adjust_lr_fn="match_rms_adamw",
            )

    def zero_grad(self) -> None:
        """Forget all gradients."""
        self._optimizers["adam"].zero_grad(set_to_none=True)
        for parameter, _ in self._copies:
            parameter.grad = None

    @torch.no_grad()
    def step(self, learning_rate: float) -> None:
        """Update what has a gradient.

        Args:
            learning_rate: of Adam; Muon's steps are scaled to the size that Adam's would have.
        """
        for parameter, copy in self._copies:
            copy.copy_(parameter.flatten(1))
            copy.grad = None if parameter.grad is None else parameter.grad.flatten(1)
        for optimizer in self._optimizers.values():
            optimizer.param_groups[0]["lr"] = learning_rate
            cast(Any, optimizer).step()
        for parameter, copy in self._copies:
            parameter.copy_(copy.view_as(parameter))

    def state_dict(self) -> dict[str, Any]:
        """All that a checkpoint must keep."""
        return {name: optimizer.state_dict() for name, optimizer in self._optimizers.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume from `state_dict`."""
        for name, optimizer in self._optimizers.items():
            optimizer.load_state_dict(state[name])


def _matrices(network: nn.Module) -> list[nn.Parameter]:
    """Weights of linear layers and convolutions; depth-wise ones and those of few channels are left
    to Adam, like gains, biases and normalizations."""
    kinds = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
    layers = [layer for layer in network.modules() if isinstance(layer, kinds)]
    weights = [cast(nn.Parameter, layer.weight) for layer in layers]
    return [w for w in weights if min(w.flatten(1).shape) >= _LEAST_SIDE and w.shape[1] > 1]
