"""What is written for others to read: terminal text, JSON, EVE lines, the HTML page."""
