"""The delivery fleet: the small application that every lab runs on.

    browser ── web ── api-gateway ──┬── position-tracker
                                    └── staff-service

Each service is one module (``python -m fleet.web``), answers with its own name, version and pod, and passes the
headers of `headers.PROPAGATED` on, so that a request can be followed (and steered) hop by hop.
"""
