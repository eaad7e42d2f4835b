"""The dashboard's frame: navigation and the report; `interp dashboard` starts it."""

import sys
from pathlib import Path

# `streamlit run dashboards/app.py` looks for modules beside this file only.
if (root := str(Path(__file__).resolve().parents[1])) not in sys.path:
    sys.path.insert(0, root)

import streamlit as st

from dashboards.components import component
from dashboards.page import navigation
from dashboards.page.report_sidebar import report_summary

ICON = Path(__file__).with_name("icon.svg")
# A link in a narrow card goes on in a second line. Figures of many panels or words keep their width
# on a phone and are scrolled sideways.
STYLE = """<style>
[data-testid=stPageLink] :is(span, p) { white-space: normal; overflow: visible; }
@media (max-width: 640px) {
  [class*="st-key-wide_"] { overflow-x: auto; }
  [class*="st-key-wide_"] > * { min-width: 860px; }
  .st-key-guide > *, .st-key-guide > * > * { flex: 1 1 100%; width: 100%; max-width: none; }
}
</style>"""


def main() -> None:
    """Draw the page that is asked for."""
    # A named icon or an emoji would be fetched from another host.
    st.set_page_config(page_title="interp", page_icon=ICON, layout="wide")
    st.html(STYLE)
    # The rarely used pages wait behind "View more", so that the model stays in sight.
    chosen = st.navigation(navigation.pages(), expanded=navigation.usual_count())
    chosen.run()
    report_summary()
    with st.sidebar:
        # It reads the address bar in the browser when it is pressed: the link is never an old one.
        component("link")(key="copy_link")


if __name__ == "__main__":
    main()
