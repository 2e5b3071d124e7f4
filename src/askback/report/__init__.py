"""Reading a run folder for people: what went in, what came out, what it cost. A leaf: only the command line imports it."""
