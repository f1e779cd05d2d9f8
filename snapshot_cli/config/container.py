"""What a container or batch system grants a process: Linux control groups, versions 1 and 2, from files alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

OWN_GROUPS, GROUPS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")


def processors() -> float | None:
    """Return how many processors' time is granted, such as 1.5; None without a limit."""
    shares = []
    for group in _groups("cpu"):
        numbers = _numbers(group / "cpu.max") or (
            _numbers(group / "cpu.cfs_quota_us") + _numbers(group / "cpu.cfs_period_us")
        )
        if len(numbers) == 2 and min(numbers) > 0:  # "max", or -1, is no limit
            shares.append(numbers[0] / numbers[1])
    return min(shares, default=None)


def free_memory() -> int | None:
    """Return the bytes up to the limit, what the system can drop from memory counted as free; None without a limit."""
    rooms = []
    for group in _groups("memory"):
        limit = _numbers(group / "memory.max") or _numbers(group / "memory.limit_in_bytes")
        used = _numbers(group / "memory.current") or _numbers(group / "memory.usage_in_bytes")
        if limit and used:
            rooms.append(limit[0] - used[0] + _file_cache(group))
    return min(rooms, default=None)


def _groups(controller: str) -> Iterator[Path]:
    """Yield the folders of this process's groups, the innermost first; some may not be visible in a container."""
    for line in _text(OWN_GROUPS).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        root = GROUPS / controller if controllers else GROUPS
        group = root / path.strip("/")
        while group != root:
            yield group
            group = group.parent
        yield root


def _file_cache(group: Path) -> int:
    """Return the bytes of files that were not used lately."""
    values = dict(line.split() for line in _text(group / "memory.stat").splitlines())
    return int(values.get("total_inactive_file", values.get("inactive_file", 0)))


def _numbers(path: Path) -> list[int]:
    return [int(word) for word in _text(path).split() if word.lstrip("-").isdecimal()]


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", errors="replace")
    except OSError:
        return ""
