"""The instruments in a browser: `app.py` navigates, `views/` asks, `exhibit.py` shows.

Nobody imports these files but Streamlit; `interp dashboard` starts it as a process of its own.
"""
