"""The script that Streamlit runs for every page and gesture; all it does is draw the app."""

from workbench.ui.navigation import run

run()
