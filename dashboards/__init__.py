"""The instruments in a browser: `app.py` navigates, `views/` holds the pages.

Only Streamlit imports these files; `interp dashboard` starts it as a process of its own.
"""
