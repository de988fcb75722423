"""The app: French first, English complete, served on loopback only, calling nothing outside its own origin.

`server` starts it, `app` puts it together, `gate` lets nobody in who has not signed in, `views/` are its pages.
"""
