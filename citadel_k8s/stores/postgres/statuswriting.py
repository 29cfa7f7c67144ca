"""The statements that write a batch of messages; `statuses` carries them out.

Rows are written in the order of their keys, and the row of the ingest last, so that workers wait
for each other and never in a circle. The guard is that of `domain.position`.
"""

from typing import Final

ADOPT: Final = """
INSERT INTO nodes (org_id, node_id, source)
SELECT org_id, node_id, 'report' FROM unnest(%(org)s::text[], %(node)s::text[])
    AS given (org_id, node_id)
ORDER BY 1, 2
ON CONFLICT DO NOTHING
"""
"""Makes the rows of nodes that were not heard of before. What a message says of the mesh is not
taken over: another node's id in there would draw that node's messages away."""

UPSERT: Final = """
WITH given AS (
    SELECT * FROM unnest(
        %(org)b::text[], %(node)b::text[], %(boot)b::text[], %(seq)s::bigint[],
        %(former)s::text[], %(ms)s::bigint[], %(number)s::bigint[], %(interval)s::real[],
        %(verdict)s::text[], %(reason)s::text[], %(message)b::text[], %(suspect)s::text[],
        %(until)s::bigint[], %(pulse)b::text[], %(digest)b::bytea[]
    ) AS g (
        org_id, node_id, boot_id, seq, former, ms, number, interval_seconds,
        verdict, reason, message, suspect, until, pulse, digest
    )
), won AS (
    INSERT INTO fabric_node_status AS s (
        org_id, node_id, boot_id, seq, former_boots, stream_epoch, stream_ms, stream_seq,
        interval_seconds, verdict, reason, message, suspect, draining_until_ms,
        state, state_reason, state_since, pulse
    )
    SELECT
        org_id, node_id, boot_id, seq,
        CASE WHEN former IS NULL THEN '{}'
             ELSE ARRAY(SELECT jsonb_array_elements_text(former::jsonb)) END,
        %(epoch)s, ms, number, interval_seconds, verdict, reason, message, suspect, until,
        CASE WHEN decommissioned_at IS NULL THEN verdict ELSE 'Decommissioned' END,
        CASE WHEN decommissioned_at IS NULL THEN coalesce(reason, 'Heartbeat')
             ELSE 'Decommissioned' END,
        to_timestamp(ms / 1000.0), pulse::jsonb
    FROM given JOIN nodes USING (org_id, node_id)
    ORDER BY 1, 2
    ON CONFLICT (org_id, node_id) DO UPDATE SET
        boot_id = excluded.boot_id,
        seq = excluded.seq,
        former_boots = CASE
            WHEN s.boot_id IS NOT DISTINCT FROM excluded.boot_id THEN s.former_boots
            ELSE (array_remove(array_remove(s.former_boots, excluded.boot_id), s.boot_id)
                  || array_remove(ARRAY[s.boot_id], NULL)
                  || array_remove(excluded.former_boots, s.boot_id))
                 [greatest(1, cardinality(array_remove(
                      array_remove(s.former_boots, excluded.boot_id), s.boot_id))
                  + cardinality(array_remove(ARRAY[s.boot_id], NULL))
                  + cardinality(array_remove(excluded.former_boots, s.boot_id))
                  - %(boots)s + 1):] END,
        stream_epoch = excluded.stream_epoch,
        stream_ms = excluded.stream_ms,
        stream_seq = excluded.stream_seq,
        interval_seconds = excluded.interval_seconds,
        verdict = CASE WHEN SAME THEN s.verdict WHEN CONFIRMED THEN 'Degraded'
                       ELSE excluded.verdict END,
        reason = CASE WHEN SAME THEN s.reason WHEN CONFIRMED THEN excluded.suspect
                      ELSE excluded.reason END,
        message = excluded.message,
        suspect = excluded.suspect,
        draining_until_ms = excluded.draining_until_ms,
        state = CASE WHEN KEPT THEN s.state WHEN excluded.state = 'Decommissioned'
                     THEN excluded.state WHEN CONFIRMED THEN 'Degraded' ELSE excluded.state END,
        state_reason = CASE
            WHEN KEPT THEN s.state_reason
            WHEN excluded.state <> 'Decommissioned' AND CONFIRMED THEN excluded.suspect
            ELSE excluded.state_reason END,
        state_since = CASE
            WHEN KEPT OR s.state = CASE
                WHEN excluded.state <> 'Decommissioned' AND CONFIRMED THEN 'Degraded'
                ELSE excluded.state END
            THEN s.state_since ELSE excluded.state_since END,
        state_before = s.state,
        before_ms = CASE WHEN s.stream_epoch = excluded.stream_epoch THEN s.stream_ms
                         ELSE 0 END,
        pulse = excluded.pulse
    WHERE GUARD
    RETURNING s.org_id, s.node_id, s.verdict, s.state, s.state_reason, s.state_since,
        s.state_before, s.before_ms
), mark AS (
    UPDATE fabric_ingest SET
        last_ms = CASE WHEN (last_ms, last_seq) < (%(top_ms)s, %(top_seq)s) THEN %(top_ms)s
                       ELSE last_ms END,
        last_seq = CASE WHEN (last_ms, last_seq) < (%(top_ms)s, %(top_seq)s) THEN %(top_seq)s
                        ELSE last_seq END
    WHERE partition = %(partition)s AND stream_epoch = %(now_epoch)s
    RETURNING partition
)
SELECT won.*, d.digest IS DISTINCT FROM given.digest AS slow, marked.n AS marked
FROM (SELECT count(*) AS n FROM mark) AS marked
LEFT JOIN (won JOIN given USING (org_id, node_id)
           LEFT JOIN fabric_node_detail d USING (org_id, node_id)) ON true
"""

_SAME: Final = (
    "((s.stream_epoch, s.stream_ms, s.stream_seq)"
    " = (excluded.stream_epoch, excluded.stream_ms, excluded.stream_seq))"
)
"""The same entry once more, of somebody who may not have told of it: it changes nothing."""

_CONFIRMED: Final = (
    "(excluded.suspect IS NOT NULL AND excluded.verdict = 'Online'"
    " AND s.suspect = excluded.suspect)"
)
"""A soft fault that the message before named too."""

_LATE: Final = (
    "(s.state = 'Offline' AND excluded.stream_ms + 1000 * (%(missed)s"
    " * coalesce(excluded.interval_seconds, %(default)s) + %(skew)s)"
    " < (SELECT frontier_ms FROM fabric_ingest"
    " WHERE partition = %(partition)s AND stream_epoch = %(epoch)s))"
)
"""Old news of a node that has been silent since, such as a dead letter that is replayed."""

_GUARD: Final = """(
    excluded.stream_epoch > s.stream_epoch
    OR (excluded.stream_epoch = s.stream_epoch AND CASE
        WHEN s.boot_id IS NOT DISTINCT FROM excluded.boot_id THEN
            CASE WHEN s.seq IS NULL OR excluded.seq IS NULL
                 THEN (excluded.stream_ms, excluded.stream_seq) >= (s.stream_ms, s.stream_seq)
                 ELSE excluded.seq > s.seq OR (excluded.seq = s.seq
                      AND (excluded.stream_ms, excluded.stream_seq)
                          = (s.stream_ms, s.stream_seq)) END
        ELSE (excluded.stream_ms, excluded.stream_seq) > (s.stream_ms, s.stream_seq)
            AND (excluded.boot_id IS NULL OR NOT excluded.boot_id = ANY(s.former_boots)
                 OR excluded.stream_ms - s.stream_ms
                    >= %(patience)s * 1000 * coalesce(s.interval_seconds, %(default)s))
        END)
)"""
"""`domain.position.wins`, word for word."""

WRITE: Final = (
    UPSERT.replace("GUARD", _GUARD)
    .replace("KEPT", f"({_SAME} OR {_LATE})")
    .replace("SAME", _SAME)
    .replace("CONFIRMED", _CONFIRMED)
)
"""Writes the rows that are newer than what is there, and gives exactly those; beside them whether
what changes seldom differs from what is stored, and whether the epoch is still the expected one."""

PRESENT: Final = """
SELECT org_id, node_id FROM nodes
JOIN unnest(%(org)s::text[], %(node)s::text[]) AS given (org_id, node_id) USING (org_id, node_id)
"""
"""Which of some nodes there are."""

DETAIL: Final = """
INSERT INTO fabric_node_detail (org_id, node_id, digest, profile, status)
SELECT org_id, node_id, digest, profile::jsonb, status::jsonb FROM unnest(
    %(org)s::text[], %(node)s::text[], %(digest)b::bytea[], %(profile)b::text[], %(status)b::text[]
) AS given (org_id, node_id, digest, profile, status)
ORDER BY 1, 2
ON CONFLICT (org_id, node_id) DO UPDATE SET
    digest = excluded.digest, profile = excluded.profile, status = excluded.status,
    changed_at = now()
"""
"""Writes what changes seldom."""

CANDIDATES: Final = """
SELECT {columns} FROM fabric_node_status s JOIN nodes n USING (org_id, node_id)
WHERE (n.decommissioned_at IS NOT NULL) <> (s.state = 'Decommissioned')
   OR (n.decommissioned_at IS NULL AND s.state <> 'Offline' AND (
        s.state <> s.verdict OR s.stream_epoch <> %(epoch)s
        OR %(frontier)s - s.stream_ms > %(stale)s * 1000
                                        * coalesce(s.interval_seconds, %(default)s)))
"""
"""The nodes of which something else may be to be said: silence makes no other, and a node that is
known to be silent stays so until it speaks."""

LOCK: Final = """
SELECT s.org_id, s.node_id, s.stream_epoch, s.stream_ms, s.state, s.verdict
FROM fabric_node_status s
JOIN unnest(%(org)s::text[], %(node)s::text[]) AS given (org_id, node_id) USING (org_id, node_id)
ORDER BY 1, 2 FOR NO KEY UPDATE OF s
"""
"""Holds rows in the order in which workers write them."""

RESTATE: Final = """
UPDATE fabric_node_status s SET
    state = given.state, state_reason = given.reason, state_since = given.since,
    state_before = s.state, before_ms = s.stream_ms
FROM unnest(
    %(org)s::text[], %(node)s::text[], %(state)s::text[], %(reason)s::text[],
    %(since)s::timestamptz[]
) AS given (org_id, node_id, state, reason, since)
WHERE s.org_id = given.org_id AND s.node_id = given.node_id
"""
"""Writes what silence, or people, make of nodes."""
