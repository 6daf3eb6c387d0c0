"""Small equivalents of the programs of Istio's own samples, for the embedded mesh: the same endpoints, words of ours.

On a real cluster the images of the same names run; nobody builds images from these.
"""
