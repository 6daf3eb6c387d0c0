"""The controllers of the embedded cluster: what kube-controller-manager and kube-scheduler do on a real one.

Each is a `controller.Controller`: informers tell it what changed, its work queue calls ``reconcile(key)``. All of them
know the cluster through `cluster.client.Client` only. `manager.Controllers` starts them.
"""
