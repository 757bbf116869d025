"""From the bytes of a packet to its TCP segment, datagram or message: link type, tags, tunnels, IP."""
