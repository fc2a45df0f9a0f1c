"""Drawings of a run's tables. Each `draw_x(ax, frame, ...)` draws on the Axes it is given, and computes nothing."""
