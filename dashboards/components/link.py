"""A button that copies the address of what is seen: model, step, text, seed and the view's choices.

The address bar is read in the browser when the button is pressed, so the link is never an old one.
"""

from dashboards.components import component


def link() -> None:
    """Draw the button."""
    component("link")(key="copy_link")
