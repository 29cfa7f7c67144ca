# Users with their passwords go to a private file: arguments are seen by everybody on the node.
set -eu
umask 077
# agent: may say how it fares and that it is there, and read its configuration; it cannot even
# read what it said, and nobody who has its password can send configuration.
# operator: reads the stream and cuts off what is old, keeps its own state under citadel:, sends
# configuration and clears up after nodes that are gone, buries what it could not deliver. It
# cannot speak for a node, and it reads nobody's dead letters.
# default: answers the probe.
cat >/tmp/users.acl <<EOF
user default reset on nopass +ping
user agent reset on >${AGENT_PASSWORD} ~node:status:stream &node:status:* -@all +@connection -@admin -@dangerous +xadd +publish (~jobs:v1:config +xreadgroup +xack +xpending +xrange +xgroup|create +xinfo|stream +xinfo|groups) (~dlq:v1:config +xadd) (&config:node:* &node:presence:* +subscribe +unsubscribe) (&node:presence:* +publish)
user operator reset on >${OPERATOR_PASSWORD} -@all +@connection -@admin -@dangerous +multi +exec +discard +time (~node:status:stream +xread +xrange +xtrim +xlen +xinfo|stream) (~citadel:* +@stream +@hash) (~jobs:v1:config +xadd +xtrim +xinfo|stream +xinfo|groups +xinfo|consumers +xgroup|destroy) (~dlq:v1:* +xadd) (&config:node:* +publish)
EOF
exec valkey-server /etc/valkey/valkey.conf
