"""What goes over the wire: the documents of the HTTP API. The command line prints the same, so that a script reads one form
whichever way it asks."""
