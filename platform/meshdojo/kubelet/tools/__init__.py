"""Small programs on every pod's PATH, run under the runner: what a learner execs into a pod to try the mesh."""
