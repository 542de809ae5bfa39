"""One script per page; the folder is not called "pages", which Streamlit would serve on its own."""
