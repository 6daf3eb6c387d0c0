"""The API: what programs, and the site's own pages, do through HTTP. Described by ``/api/openapi.json``."""
