"""Telltale in the browser: Streamlit pages over `core`."""
