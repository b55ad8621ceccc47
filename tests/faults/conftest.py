"""A table of the faults that were tried: ``pytest tests/faults --faults-table FILE``.

A test counts once, or as often as its property ``tried`` says. Each test asserts what its kind
loses, so a fault that loses more is one that was not held.
"""

from collections import Counter

NOTHING = "nothing"
IN_FLIGHT = "the images being coded; the next run codes them"
OWN_IMAGE = "the image at fault: a failed record with the reason"
REMADE = "what was damaged; named, and coded again by the next run"

KINDS = {
    "driver killed (`kill -9`)": (IN_FLIGHT, ["test_kill_minus_nine"]),
    "worker process killed": (IN_FLIGHT, [
        "test_a_worker_killed_at_a_random_moment[processes]", "test_a_worker_killed_as_it_starts",
        "test_workers_that_always_die"]),
    "Dask worker killed": (NOTHING + "; other workers code its images", [
        "test_a_worker_killed_at_a_random_moment[cluster]"]),
    "Dask scheduler killed": (IN_FLIGHT, ["test_a_scheduler_killed"]),
    "Ctrl-C or SIGTERM": (IN_FLIGHT, ["test_ctrl_c", "test_a_signal"]),
    "disk full": ("the record being written", ["test_a_full_disk"]),
    "folder deleted, moved or replaced": ("what was deleted; the sweep stops", [
        "test_a_report_folder_that_goes_away"]),
    "folder read-only": (NOTHING, [
        "test_a_folder_that_cannot_be_written", "test_a_folder_that_may_only_be_read"]),
    "clock set back": (NOTHING + " but the dates", ["test_a_clock"]),
    "database corrupt or truncated": ("damaged pages; `rdbench repair` saves the other rows", [
        "test_rows_outside", "test_a_truncated_database", "test_records_whose_run_is_lost",
        "test_what_is_in_the_log", "test_a_damaged_page"]),
    "values in the database changed": (REMADE, [
        "test_what_a_column_cannot_hold", "test_a_record_that_cannot_be_read",
        "test_a_data_set_or_a_protocol"]),
    "bitstream changed, truncated or deleted": (REMADE, [
        "test_damage_is_found", "test_a_run_heals", "test_kept_matches"]),
    "two drivers at once": (NOTHING, ["test_several_sweeps_into_one_folder[2]"]),
    "three drivers at once": (NOTHING, ["test_several_sweeps_into_one_folder[3]"]),
    "worker killed for memory, or memory refused": (OWN_IMAGE, [
        "test_trouble_with_processes_fails_its_own_images_only[kill in decode",
        "test_a_codec_that_returns_nothing_fails_its_own_image[memory"]),
    "codec ends or crashes its process": (OWN_IMAGE, [
        "test_a_dying_worker", "test_trouble_with_processes", "test_sys_exit",
        "test_a_codec_that_returns_nothing_fails_its_own_image[exhaust"]),
    "codec hangs": (OWN_IMAGE, ["test_a_time_limit"]),
    "codec forks": (NOTHING + ", or the image whose worker died", [
        "test_a_child_that_a_codec_forks", "test_a_worker_that_dies_and_leaves_a_child"]),
    "codec prints 1 GB": (NOTHING, ["test_what_codecs_print"]),
    "codec returns nothing": (OWN_IMAGE, ["test_a_codec_that_returns_nothing"]),
    "codec returns another image": (NOTHING + "; its scores say so, a lossless codec fails", [
        "test_another_image"]),
}  # fmt: skip
"""Kind of fault -> what it loses, and how the names of its tests begin. The longest one decides."""

_results: dict[str, Counter] = {}


def kind_of(name):
    """The kind of a test, or None."""
    starts = [
        (len(s), kind) for kind, (_, all_) in KINDS.items() for s in all_ if name.startswith(s)
    ]
    return max(starts, default=(0, None))[1]


def pytest_runtest_logreport(report):
    kind = kind_of(report.nodeid.rpartition("::")[2])
    if kind and not report.skipped and (report.when == "call" or report.failed):
        tried = dict(report.user_properties).get("tried", 1)
        _results.setdefault(kind, Counter()).update(tried=tried, held=tried * report.passed)


def pytest_sessionfinish(session):
    """Write a row for each kind that was tried; rows of other kinds in the file stay."""
    path = session.config.getoption("--faults-table")
    if path is None or hasattr(session.config, "workerinput"):
        return
    lines = path.read_text().splitlines() if path.exists() else []
    rows = {line.split(" | ")[0]: line for line in lines if line.startswith("| ")}
    rows |= {
        f"| {kind}": f"| {kind} | {n['tried']} | {n['held']} | {KINDS[kind][0]} |"
        for kind, n in _results.items()
    }
    head = ["| fault | tried | held | lost |", "|---|--:|--:|---|"]
    path.write_text("\n".join(head + [rows[f"| {k}"] for k in KINDS if f"| {k}" in rows]) + "\n")
