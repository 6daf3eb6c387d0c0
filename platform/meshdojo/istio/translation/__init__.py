"""Pure functions from (proxy, snapshot) to Envoy resources: one file per Envoy resource and role.

scope.py          what one proxy sees of the mesh
clusters/         outbound, inbound; traffic policies
endpoints.py
listeners/        sidecar_outbound, sidecar_inbound, gateway
routes/           sidecar, gateway; one HTTP route of a VirtualService
secrets.py
translator.py     dispatch by type, and the cache
"""
