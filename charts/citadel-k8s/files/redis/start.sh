# Users with their passwords go to a private file: arguments are seen by everybody on the node.
set -eu
umask 077
# agent: may say how it fares and that it is there, and read its configuration; it cannot even
# read what it said, and nobody who has its password can send configuration.
# operator: reads the stream, keeps its own state under citadel:, sends configuration.
# default: answers the probe.
cat >/tmp/users.acl <<EOF
user default reset on nopass +ping
user agent reset on >${AGENT_PASSWORD} ~node:status:stream &node:status:* -@all +@connection -@admin -@dangerous +xadd +publish (~jobs:v1:config +xreadgroup +xack +xpending +xrange +xgroup|create +xinfo|stream +xinfo|groups) (~dlq:v1:config +xadd) (&config:node:* &node:presence:* +subscribe +unsubscribe) (&node:presence:* +publish)
user operator reset on >${OPERATOR_PASSWORD} ~node:status:stream ~citadel:* ~jobs:v1:config ~dlq:v1:config &node:status:* &config:node:* -@all +@connection -@admin -@dangerous +@stream +@hash +@transaction +time +publish
EOF
exec valkey-server /etc/valkey/valkey.conf
