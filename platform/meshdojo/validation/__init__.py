"""Proves labs: each can be failed, solved as documented, solved wrongly, and reset, on any backend."""

from meshdojo.validation.report import Report, Step
from meshdojo.validation.validate import validate

__all__ = ["Report", "Step", "validate"]
