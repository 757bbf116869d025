#!/bin/sh
# udhcpc calls this with what it learned: set the address, and leave the lease where the lab reads it.
case "$1" in
deconfig)
    ip addr flush dev "$interface"
    ip link set "$interface" up
    ;;
bound | renew)
    ip addr flush dev "$interface"
    ip addr add "$ip/$mask" broadcast + dev "$interface"
    if [ -n "$router" ]; then ip route replace default via "${router%% *}"; fi
    printf '%s\n' "ip=$ip" "dns=$dns" "domain=$domain" >"$AMTLAB_LEASE.new"
    mv "$AMTLAB_LEASE.new" "$AMTLAB_LEASE"
    ;;
esac
