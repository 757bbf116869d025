"""What is wrong with a device, how that is proved, and what to do: one small class a rule."""
