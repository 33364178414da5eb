"""Stages: how parameters become the filter of a convolution, and what their site reads."""
