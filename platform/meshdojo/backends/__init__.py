"""Where a mesh runs. Nothing above this package knows which one it is; `select.open_backend` picks one by name."""
