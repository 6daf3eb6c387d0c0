"""Where a mesh runs. Nothing above this package knows which backend it is on; `select.open_backend` picks one by name."""
