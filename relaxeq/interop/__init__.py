"""Bridges to other curvature libraries, each an optional extra imported by its own module."""
