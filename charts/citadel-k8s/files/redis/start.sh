# Users with their passwords go to a private file: arguments are seen by everybody on the node.
set -eu
umask 077
# agent: may say how it fares, and nothing else; it cannot even read what it said.
# operator: reads the stream, keeps its own state under citadel:, sends configuration.
# default: answers the probe.
cat >/tmp/users.acl <<EOF
user default reset on nopass +ping
user agent reset on >${AGENT_PASSWORD} ~node:status:stream &node:status:* -@all +@connection -@admin -@dangerous +xadd +publish
user operator reset on >${OPERATOR_PASSWORD} ~node:status:stream ~citadel:* &node:status:* -@all +@connection -@admin -@dangerous +@stream +@hash +@transaction +time +publish
EOF
exec valkey-server /etc/valkey/valkey.conf
