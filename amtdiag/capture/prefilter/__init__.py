"""What matters, and what passes over the rest: in C, in Python, and in the kernel's filter."""
