"""Pure functions from arrays to Plotly figures, for pages and notebooks; importing the package imports no Plotly."""
