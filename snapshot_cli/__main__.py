"""Run the command line, as `snapshot` or `python -m snapshot_cli`, which listens to signals before all else loads."""

from snapshot_cli.launch.signals import leave_when_asked


def main() -> None:
    """Run the command line."""
    leave_when_asked()
    from snapshot_cli.cli import main as verbs

    verbs(prog_name="snapshot")


if __name__ == "__main__":
    main()
