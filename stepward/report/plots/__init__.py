"""Plots of reports, as inline SVG."""
