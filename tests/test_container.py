import os

import pytest

from snapshot_cli.config import container, machine


@pytest.fixture
def system(tmp_path, monkeypatch):
    """Write the files of a system: what /proc/self/cgroup says, and those below /sys/fs/cgroup by path."""

    def make(own, **files):
        monkeypatch.setattr(container, "OWN_GROUPS", tmp_path / "own")
        monkeypatch.setattr(container, "GROUPS", tmp_path / "groups")
        (tmp_path / "own").write_text(own)
        for name, text in files.items():
            path = tmp_path / "groups" / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.with_name(path.name.replace("_", ".", 1)).write_text(text)

    return make


SECOND, FIRST = "0::/job/step\n", "4:memory:/docker/ab\n1:cpu,cpuacct:/docker/ab\n0::/\n"


@pytest.mark.parametrize(
    ("own", "files", "processors"),
    [
        (SECOND, {}, None),
        (SECOND, {"job__step__cpu_max": "max 100000\n"}, None),
        (SECOND, {"job__step__cpu_max": "150000 100000\n"}, 1.5),
        (SECOND, {"job__step__cpu_max": "max 100000\n", "job__cpu_max": "400000 100000\n"}, 4),
        (SECOND, {"cpu_max": "50000 100000\n"}, 0.5),  # as a container sees its own group, whatever its path
        ("0::/../other\n", {"cpu_max": "50000 100000\n"}, 0.5),
        (FIRST, {"cpu__cpu_cfs_quota_us": "-1\n", "cpu__cpu_cfs_period_us": "100000\n"}, None),
        (FIRST, {"cpu__cpu_cfs_quota_us": "300000\n", "cpu__cpu_cfs_period_us": "100000\n"}, 3),
        (FIRST, {"cpu__docker__ab__cpu_cfs_quota_us": "25000", "cpu__docker__ab__cpu_cfs_period_us": "50000"}, 0.5),
        ("", {"cpu_max": "50000 100000\n"}, None),
    ],
)
def test_processors(system, own, files, processors):
    system(own, **files)
    assert container.processors() == processors


@pytest.mark.parametrize(("granted", "expected"), [(None, 8), (0.1, 1), (1.5, 2), (64, 8)])
def test_what_is_granted_in_part_is_a_processor(monkeypatch, granted, expected):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: range(8))
    monkeypatch.setattr(container, "processors", lambda: granted)
    assert machine.processors() == expected


def test_a_system_that_binds_no_process_to_processors(monkeypatch):
    """macOS."""
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    monkeypatch.setattr(container, "processors", lambda: None)
    assert machine.processors() == 6


@pytest.mark.parametrize(
    ("own", "files", "free"),
    [
        (SECOND, {"memory_max": "max", "memory_current": "5"}, None),
        (SECOND, {"memory_max": "1000", "memory_current": "700"}, 300),
        (SECOND, {"memory_max": "1000", "memory_current": "700", "memory_stat": "anon 5\ninactive_file 200\n"}, 500),
        (
            FIRST,
            {
                "memory__memory_limit_in_bytes": "1000", "memory__memory_usage_in_bytes": "900",
                "memory__memory_stat": "inactive_file 1\ntotal_inactive_file 50\n",
            },
            150,
        ),
    ],
)  # fmt: skip
def test_free_memory(system, own, files, free):
    system(own, **files)
    assert container.free_memory() == free
