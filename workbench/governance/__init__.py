"""Who may do what, in which state, under which legal basis, with which keys, and what may be shown."""
