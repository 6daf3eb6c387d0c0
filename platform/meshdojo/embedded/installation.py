"""Istio in the embedded cluster: is it there, and install it."""

from __future__ import annotations
