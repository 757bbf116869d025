"""From files to columns: containers opened, packets scanned, the few that matter decoded to TCP.

`open_inputs` finds and identifies the files, `scan` walks them in time order and yields `Packets`.
"""
