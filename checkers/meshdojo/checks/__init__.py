"""Judges a cluster: measures how the mesh behaves and says what was seen, what was expected, and a hint.

Knows nothing of backends: all it has is a `cluster.http.HTTPClient`. Nothing here changes an object of the learner.
"""
