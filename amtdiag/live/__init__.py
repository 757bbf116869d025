"""What is seen on an interface, judged while it goes on."""
