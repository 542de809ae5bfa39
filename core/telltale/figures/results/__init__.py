"""From results to figures: picks out of an analysis or of stored scores what a figure needs, for pages and notebooks.

The figures themselves, from arrays alone, are in `telltale.figures`. Importing the package imports no Plotly.
"""
