"""The door for programs: read captures, sniff an interface, and look at the one result, an `Analysis`."""
