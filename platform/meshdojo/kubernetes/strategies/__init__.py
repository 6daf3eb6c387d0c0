"""How each kind is prepared when it is created and changed: generations, status apart from spec, allocations.

The counterpart of the registry strategies of k8s.io/kubernetes/pkg/registry. `strategy.py` is the rule, one module per
kind that differs.
"""
