"""External programs that misbehave: none outlives its folder, none fills the disk."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from threading import Thread

import pytest
from processes import new_tag, sleepers, wait_for

from rdbench_codecs.external import programs
from rdbench_codecs.external.programs import Limits, PrivateFolder, ProgramError, private_folder

pytestmark = pytest.mark.skipif(os.name != "posix", reason="external programs run on POSIX only")
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="processes are found through /proc")
LIMITS = Limits(file_bytes=1 << 20)
BOMB = "b() { [ $1 -gt 6 ] || { b $(($1 + 1)) & b $(($1 + 1)) & }; sleep {tag}; }; b 0 &"


@pytest.fixture
def tag() -> str:
    return new_tag()


def run(folder: PrivateFolder, script: str, timeout_s: float = 60.0) -> None:
    folder.run([Path("/bin/sh"), "-c", script], timeout_s, LIMITS)


@LINUX
@pytest.mark.parametrize(
    "script",
    [
        "sleep {tag} &",
        "nohup sleep {tag} >/dev/null 2>&1 &",
        "setsid sleep {tag} &",
        "(setsid sh -c 'trap \"\" TERM HUP; cd /; sleep {tag} & sleep {tag}' &) &",
        "env -i setsid sleep {tag} &",
        BOMB,
    ],
    ids=["child", "nohup", "session", "daemon", "no environment", "many"],
)
@pytest.mark.parametrize("ends", ["ends", "runs on"])
def test_no_process_outlives_its_folder(tag: str, script: str, ends: str) -> None:
    script = script.replace("{tag}", tag) + " while ! [ -e go ]; do sleep 0.02; done"
    with private_folder() as folder:

        def let_go() -> None:
            wait_for(lambda: bool(sleepers(tag)))
            (folder.path / "go").touch()

        watch = Thread(target=let_go)
        watch.start()
        if ends == "ends":
            run(folder, script)
        else:
            with pytest.raises(ProgramError, match="was stopped after 3 s"):
                run(folder, script + "; sleep 600", 3.0)
        watch.join()
        assert (folder.path / "go").exists()
    assert sleepers(tag) == []
    assert not folder.path.exists()


@LINUX
def test_nothing_outlives_a_killed_parent(tag: str, tmp_path: Path) -> None:
    code = (
        "from rdbench_codecs.external.programs import *\n"
        "with private_folder() as f:\n"
        f"    f.run(['/bin/sh', '-c', 'setsid sleep {tag} & sleep {tag}'], 600, Limits(1 << 20))\n"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    parent = subprocess.Popen([sys.executable, "-c", code], env=environment)
    wait_for(lambda: len(sleepers(tag)) == 2)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    wait_for(lambda: not sleepers(tag) and not list(tmp_path.iterdir()))


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("cat /dev/zero", "sh printed more than 1 MiB"),
        ("yes", "sh printed more than 1 MiB"),
        ("cat /dev/zero >big", "sh wrote a file of more than 1 MiB: big"),
        ("mkdir a; cat /dev/zero >a/big & wait", "sh wrote a file of more than 1 MiB: big"),
        ("trap '' XFSZ; cat /dev/zero >big; exit 0", "sh wrote a file of more than 1 MiB: big"),
        (
            "i=0; while :; do i=$((i+1)); head -c 600000 /dev/zero >f$i; done",
            "sh wrote more than 4 MiB in all",
        ),
        ("i=0; while :; do i=$((i+1)); : >f$i; done", "sh wrote more than 4 MiB in all"),
        ("truncate -s 900000000000 sparse", "sh failed"),
    ],
)
def test_what_a_program_writes_is_bounded(script: str, reason: str) -> None:
    with private_folder() as folder:
        with pytest.raises(ProgramError, match=reason):
            run(folder, script)
        sizes = [f.stat().st_size for f in folder.path.rglob("*") if f.is_file()]
        assert max(sizes) <= 1 << 20
    assert not folder.path.exists()


@pytest.mark.parametrize(
    "script", ["mkfifo out", "ln -s /dev/zero out", "mkdir out", "ln -s /dev/full out"]
)
def test_an_output_is_a_file(script: str) -> None:
    with private_folder() as folder:
        run(folder, script)
        with pytest.raises(ProgramError, match="made out something that is not a file"):
            folder.output("out")


def test_a_folder_that_cannot_be_entered_is_deleted() -> None:
    with private_folder() as folder:
        run(folder, "mkdir -p a/b; touch a/b/c; chmod 000 a/b a")
    assert not folder.path.exists()


def test_limits_follow_the_image() -> None:
    assert programs.limits_for(1000).file_bytes == 64 << 20
    assert programs.limits_for(100 << 20).file_bytes == 800 << 20


def test_a_program_that_cannot_be_executed(tmp_path: Path) -> None:
    (tmp_path / "program").write_bytes(b"\x7fELF rubbish")
    (tmp_path / "program").chmod(0o755)
    with (
        private_folder() as folder,
        pytest.raises(ProgramError, match="program cannot be executed"),
    ):
        folder.run([tmp_path / "program"], 60, LIMITS)


@LINUX
def test_where_memory_runs_out_the_program_goes_first() -> None:
    with private_folder() as folder:
        run(folder, "[ $(cat /proc/self/oom_score_adj) = 1000 ]")
