"""Sparse paths: weights as sums of few basis functions at anchors (§3.1, §3.2, App. C.2)."""
