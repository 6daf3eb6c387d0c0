"""Errors of an embedded environment. Each message names the thing and the remedy; none carries a traceback."""

from __future__ import annotations

from meshdojo.errors import UsageError, UserError


class EmbeddedError(UserError):
    """The environment could not do what was asked; the text is for the user."""


class BadName(EmbeddedError, UsageError):
    """Nothing can have this name, or nothing has it: an environment, an image, a program."""


class NotRunning(EmbeddedError):
    """The environment's cluster process is not there."""


class StartFailed(EmbeddedError):
    """The cluster process ended, or did not answer, before it was ready."""
