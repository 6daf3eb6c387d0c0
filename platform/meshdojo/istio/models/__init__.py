"""Istio's API as typed models: one module per kind."""
