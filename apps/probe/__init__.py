"""The load generator that checks run inside the cluster: many requests, counted by what answered.

`python -m probe --url …` sends them and prints one JSON object; `python -m probe one` shows one answer,
`python -m probe steady` sends a few a second; `python -m probe serve` only keeps the pod alive.
It is driven through exec, never through the mesh that it measures.
"""
