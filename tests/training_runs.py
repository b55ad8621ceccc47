"""Training as ``rdbench train`` runs it, from an objective and a recipe."""

from collections.abc import Callable
from pathlib import Path

from rdbench.cli.train import image_files
from rdbench.images import read_image
from rdbench.types import Progress, TrainingOptions
from rdbench_codecs.training.loop import RecipeTraining
from rdbench_codecs.training.objective import Objective
from rdbench_codecs.training.recipe import Recipe


def train(
    objective: Objective,
    recipe: Recipe,
    data: Path,
    out: Path,
    device: str = "cpu",
    log_every: int = 50,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> bool:
    """Train on the images of a folder; whether the recipe was done."""
    options = TrainingOptions("", image_files(data), read_image, out, device=device)
    return RecipeTraining(objective, recipe, options, log_every).run(on_progress)
