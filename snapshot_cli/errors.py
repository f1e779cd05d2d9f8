"""What a person did wrong, or what is not there, in words; anything else that is raised is a bug."""

from __future__ import annotations


class UserError(Exception):
    """Say what happened, where, and what to type next."""

    exit_code = 1


class ConfigError(UserError):
    """Say what is wrong in a configuration or on the command line: one line a mistake, all mistakes at once."""

    exit_code = 2


class Stopped(UserError):
    """Say that training was asked to stop and that the state to go on from is saved."""

    exit_code = 75
