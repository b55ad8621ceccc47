"""Tasks for worker processes, which import this module: its folder is on their path."""

import dataclasses
import os
import time
from pathlib import Path

from rdbench.datasets import ImageFile


def double(number):
    return 2 * number


@dataclasses.dataclass(frozen=True)
class Needy:
    number: int
    needs: tuple = ()


def number_of(task):
    return task.number


def gpu_of(task):
    return os.environ.get("CUDA_VISIBLE_DEVICES"), os.getpid(), time.sleep(0.1)


def die_once(task):
    """Kill the worker, but not again."""
    mark = Path(task)
    if not mark.exists():
        mark.write_text("")
        os.kill(os.getpid(), 9)
    return "done"


def die(task):
    os.kill(os.getpid(), 9)


def read_twice(task):
    return task.file.path.read_bytes(), task.file.path.name


@dataclasses.dataclass(frozen=True)
class WithFile:
    number: int
    file: ImageFile


def die_and_say_gpu(task):
    if task == 1:
        os._exit(1)
    return os.environ["CUDA_VISIBLE_DEVICES"]


def when_and_where(task):
    """Start, end and process of a task that takes a while."""
    started = time.monotonic()
    time.sleep(0.2)
    return started, time.monotonic(), os.getpid()
