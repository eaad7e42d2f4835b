"""The dashboard's frame: navigation and the report; `interp dashboard` starts it."""

import streamlit as st

from interp.dashboards import views
from interp.dashboards.report_shelf import report_shelf


def main() -> None:
    """Draw the page that is asked for."""
    st.set_page_config(page_title="interp", page_icon=":material/visibility:", layout="wide")
    chosen = st.navigation(views.pages(), expanded=True)
    chosen.run()
    report_shelf()


if __name__ == "__main__":
    main()
