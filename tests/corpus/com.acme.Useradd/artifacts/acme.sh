#!/bin/sh
# Owned by the user that install made.
owner=$(stat -c %U /opt/acme/data)
echo "data of $owner, $(cat /etc/acme/acme.conf)"
test "$owner" = acme
