"""Pure functions from arrays to Plotly figures; no Streamlit and no mathematics."""
