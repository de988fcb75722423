"""Commands over a socket: the service account alone reads releases and keys; everybody else asks it, as who they are.

`wire` is what goes over the socket, `commands` which verbs and whose files, `client` asks, `door` answers the
connections, `served` runs one command.
"""
