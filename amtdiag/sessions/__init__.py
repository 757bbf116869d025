"""From streams and datagrams to events, of one sensor and of several brought together."""
