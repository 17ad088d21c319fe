# Lambda's HTTP API under the unit's sandbox and as user hedgerow: on a Unix socket, and on the loopback.
socket=/run/hedgerow/lambda/lambda.sock
configuration=/etc/hedgerow/hedgerow.toml
[ ! -e "$configuration" ] || cp "$configuration" "$configuration.before"

listen() { # CONFIGURATION
    { [ ! -e "$configuration.before" ] || cat "$configuration.before"; printf '[lambda-endpoint]\n%s\n' "$1"; } > "$configuration"
    systemctl restart hedgerow.service
    daemon_answers
}

# Status and body of the list of functions, over a socket of that family.
list() { # FAMILY ADDRESS
    python3 - "$1" "$2" << 'END'
import json, socket, sys
family, address = getattr(socket, sys.argv[1]), sys.argv[2]
connection = socket.socket(family)
connection.connect(address if family == socket.AF_UNIX else (address, 3001))
connection.sendall(b"GET /2015-03-31/functions/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
answer = b"".join(iter(lambda: connection.recv(4096), b"")).decode()
print(answer.split()[1], answer.split("\r\n\r\n")[1])
END
}

deploy_only
listen "listen = 'unix:$socket'"
list AF_UNIX "$socket" | grep -F '200 {"Functions":[]' || fail "root may call"
said=$(setpriv --reuid=65534 --regid=65534 --clear-groups python3 -c "
import socket
socket.socket(socket.AF_UNIX).connect('$socket')" 2>&1) && fail "anybody reaches it"
case $said in *PermissionError*) ;; *) fail "$said" ;; esac
kill -KILL "$(systemctl show --value --property MainPID hedgerow.service)"
eventually 30 list AF_UNIX "$socket"

printf "[[credential]]\naccess-key-id = 'KEY'\nsecret-access-key = 'secret'\nfunctions = ['*']\n" > /etc/hedgerow/lambda.toml
chown root:hedgerow /etc/hedgerow/lambda.toml
chmod 640 /etc/hedgerow/lambda.toml
listen "listen = '127.0.0.1:3001'
credentials = '/etc/hedgerow/lambda.toml'"
list AF_INET 127.0.0.1 | grep -F '403 ' | grep -F "is not signed" || fail "it has to be signed"

rm "$configuration"
[ ! -e "$configuration.before" ] || mv "$configuration.before" "$configuration"
systemctl restart hedgerow.service
daemon_answers
