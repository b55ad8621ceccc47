"""What tests of metrics share."""

import importlib
import importlib.machinery
import sys
from types import ModuleType

import pytest

from rdbench.errors import Unavailable
from rdbench.metrics import METRICS, why_not


@pytest.fixture(scope="session")
def _torchvision():
    """Stand in for a torchvision of another build: piq imports it, but our metrics need it not."""
    try:
        importlib.import_module("torchvision.models")
        yield
    except Exception:
        models = ModuleType("torchvision.models")
        models.vgg16 = models.vgg19 = models.inception_v3 = None
        stub = ModuleType("torchvision")
        stub.models, stub.__version__ = models, "0.0"
        stub.__spec__ = importlib.machinery.ModuleSpec("torchvision", None)
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(sys.modules, "torchvision", stub)
            patch.setitem(sys.modules, "torchvision.models", models)
            yield


@pytest.fixture(scope="session")
def compute(_torchvision):
    """A function that computes a metric, or skips the test where it is not available."""

    def call(name, *pair):
        if reason := why_not(METRICS[name]):
            pytest.skip(reason)
        try:
            return METRICS[name].function(*pair)
        except Unavailable as error:
            pytest.skip(str(error))

    return call
