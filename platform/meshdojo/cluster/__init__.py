"""How every part of meshdojo speaks to a Kubernetes cluster: one small client interface, two implementations.

`client.Client` is the interface. The embedded API server's own ``Api`` implements it in process; `http.HTTPClient`
implements it over HTTPS for any cluster that a kubeconfig (or a pod's service account) points to.
"""
