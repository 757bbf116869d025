"""Records captures of AMT provisioning, as it works and as it fails, in network namespaces of this machine.

Real programs make the traffic: dnsmasq, udhcpc, OpenSSL and the kernel. Only AMT and its server are
stand-ins. The truth about a recording comes from its scenario, from what the stand-ins sent and from tshark:
amtdiag's own readers have no part in it.

From the bottom: `net` has namespaces and cables, `programs` what runs in them, `wire` the few messages that
the stand-ins write themselves, `credentials` certificates, `device` and `sca` the stand-ins, `truth` writes
expected.json, `site` is the network of one scenario, and `table` lists the scenarios, which stand in
`discovery`, `calling`, `several` and `vantage`.
"""
