"""Run the command line as `python -m snapshot_cli`."""

from snapshot_cli.cli import main

if __name__ == "__main__":
    main(prog_name="snapshot")
