"""From events to devices: who they are, which mode they are in, how far they came.

`follow` takes all events of a capture and gives a `Case` per device; what is wrong with it is for `checks`.
"""
