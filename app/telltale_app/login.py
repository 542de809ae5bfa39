"""Who may come in: everybody, or those whom the server's OpenID Connect provider knows."""

from __future__ import annotations

import streamlit as st

from telltale_app import emphasis


def require_login() -> None:
    """End the page with an invitation to log in, where the server asks for it and the person has not done so.

    The server asks for it by an ``[auth]`` section in ``app/.streamlit/secrets.toml``; only then does Streamlit
    say of a person whether they are logged in.
    """
    logged_in = st.user.get("is_logged_in")
    if logged_in is None:
        return
    if not logged_in:
        st.title("Telltale", anchor=False)
        st.markdown("This server is for people with an account. After the login you are back on this page.")
        st.button("Log in", icon=":material/login:", type=emphasis.filled(), on_click=st.login, key="log-in")
        st.stop()
    with st.sidebar:
        st.button("Log out", icon=":material/logout:", on_click=st.logout, key="log-out")
