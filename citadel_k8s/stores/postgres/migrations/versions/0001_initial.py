"""All tables, and the fence between orgs.

Revision: 0001. Follows nothing.
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ORGS = """
CREATE TABLE orgs (
    org_id text PRIMARY KEY CHECK (org_id ~ '^[a-zA-Z0-9._-]{1,128}$'),
    name text NOT NULL,
    daily_quota integer CHECK (daily_quota > 0),
    created_at timestamptz NOT NULL DEFAULT now(),
    disabled_at timestamptz
);
CREATE TABLE users (
    user_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    org_id text NOT NULL REFERENCES orgs ON DELETE CASCADE,
    name text NOT NULL,
    email text,
    subject text UNIQUE,
    role text NOT NULL CHECK (role IN ('viewer', 'editor', 'admin')),
    created_at timestamptz NOT NULL DEFAULT now(),
    disabled_at timestamptz,
    UNIQUE (org_id, user_id)
);
CREATE UNIQUE INDEX users_email ON users (org_id, lower(email)) WHERE email IS NOT NULL;
CREATE TABLE login_links (
    token_hash bytea PRIMARY KEY,
    org_id text NOT NULL,
    user_id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    used_at timestamptz,
    FOREIGN KEY (org_id, user_id) REFERENCES users (org_id, user_id) ON DELETE CASCADE
);
CREATE TABLE sessions (
    session_hash bytea PRIMARY KEY,
    org_id text NOT NULL,
    user_id uuid NOT NULL,
    method text NOT NULL CHECK (method IN ('link', 'oidc')),
    created_at timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz,
    FOREIGN KEY (org_id, user_id) REFERENCES users (org_id, user_id) ON DELETE CASCADE
);
CREATE INDEX sessions_user ON sessions (org_id, user_id);
CREATE INDEX login_links_user ON login_links (org_id, user_id);
CREATE INDEX users_email_any ON users (lower(email)) WHERE email IS NOT NULL;
CREATE TABLE clusters (
    cluster_id text NOT NULL CHECK (cluster_id ~ '^[a-zA-Z0-9._-]{1,64}$'),
    org_id text NOT NULL REFERENCES orgs ON DELETE CASCADE,
    issuer text NOT NULL,
    audience text NOT NULL,
    jwks jsonb NOT NULL,
    service_accounts text[] NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, cluster_id),
    UNIQUE (issuer, audience)
);
"""

DEVICES = """
CREATE TABLE nodes (
    org_id text NOT NULL REFERENCES orgs ON DELETE CASCADE,
    node_id text NOT NULL CHECK (node_id ~ '^[a-zA-Z0-9._-]{1,64}$'),
    name text,
    headscale_id text,
    addresses text[] NOT NULL DEFAULT '{}',
    labels jsonb NOT NULL DEFAULT '{}',
    source text NOT NULL CHECK (source IN ('report', 'mesh', 'enrolment', 'manual')),
    owner text,
    mesh_online boolean,
    mesh_seen_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    decommissioned_at timestamptz,
    PRIMARY KEY (org_id, node_id)
);
CREATE INDEX nodes_id ON nodes (node_id);
CREATE INDEX nodes_headscale ON nodes (headscale_id) WHERE headscale_id IS NOT NULL;
CREATE TABLE device_tokens (
    token_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    org_id text NOT NULL REFERENCES orgs ON DELETE CASCADE,
    token_hash bytea NOT NULL UNIQUE,
    name text NOT NULL,
    scopes text[] NOT NULL,
    node_id text,
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL,
    expires_at timestamptz,
    used_at timestamptz,
    revoked_at timestamptz,
    replaced_by uuid
);
CREATE INDEX device_tokens_org ON device_tokens (org_id);
CREATE TABLE device_auths (
    device_hash bytea PRIMARY KEY,
    user_code text NOT NULL UNIQUE,
    client_id text NOT NULL,
    client_version text,
    hostname text,
    machine_id text,
    force_new boolean NOT NULL DEFAULT false,
    address text,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    pace_seconds integer NOT NULL DEFAULT 5,
    polled_at timestamptz,
    state text NOT NULL DEFAULT 'pending'
        CHECK (state IN ('pending', 'approved', 'denied', 'consumed')),
    org_id text REFERENCES orgs ON DELETE CASCADE,
    node_id text,
    decided_by text,
    decided_at timestamptz
);
CREATE INDEX device_auths_expiry ON device_auths (expires_at);
CREATE TABLE node_configs (
    org_id text NOT NULL,
    node_id text NOT NULL,
    revision text NOT NULL,
    config jsonb NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now(),
    changed_by text NOT NULL,
    PRIMARY KEY (org_id, node_id),
    FOREIGN KEY (org_id, node_id) REFERENCES nodes ON DELETE CASCADE
);
"""

STATUS = """
CREATE TABLE fabric_node_status (
    org_id text NOT NULL,
    node_id text NOT NULL,
    boot_id text,
    seq bigint,
    former_boots text[] NOT NULL DEFAULT '{}',
    stream_epoch bigint NOT NULL,
    stream_ms bigint NOT NULL,
    stream_seq bigint NOT NULL,
    interval_seconds real,
    verdict text NOT NULL,
    reason text,
    message text,
    suspect text,
    draining_until_ms bigint,
    state text NOT NULL,
    state_reason text,
    state_since timestamptz NOT NULL,
    state_before text,
    before_ms bigint,
    pulse jsonb NOT NULL,
    PRIMARY KEY (org_id, node_id),
    FOREIGN KEY (org_id, node_id) REFERENCES nodes ON DELETE CASCADE
) WITH (fillfactor = 70);
CREATE TABLE fabric_node_detail (
    org_id text NOT NULL,
    node_id text NOT NULL,
    digest bytea NOT NULL,
    profile jsonb NOT NULL,
    status jsonb NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, node_id),
    FOREIGN KEY (org_id, node_id) REFERENCES nodes ON DELETE CASCADE
) WITH (fillfactor = 80);
CREATE TABLE fabric_ingest (
    partition integer PRIMARY KEY,
    stream_epoch bigint NOT NULL,
    last_ms bigint NOT NULL,
    last_seq bigint NOT NULL,
    frontier_ms bigint NOT NULL,
    clear_since_ms bigint NOT NULL,
    looked_ms bigint NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);
"""

HISTORY = """
CREATE TABLE fabric_node_history (
    org_id text NOT NULL,
    node_id text NOT NULL,
    bucket timestamptz NOT NULL,
    beats integer NOT NULL,
    cpu_sum double precision, cpu_count integer NOT NULL DEFAULT 0,
    memory_sum double precision, memory_count integer NOT NULL DEFAULT 0,
    util_sum double precision, util_count integer NOT NULL DEFAULT 0, util_max real,
    vram_sum double precision, vram_count integer NOT NULL DEFAULT 0,
    power_sum double precision, power_count integer NOT NULL DEFAULT 0,
    running_sum double precision, running_count integer NOT NULL DEFAULT 0,
    PRIMARY KEY (org_id, node_id, bucket)
) PARTITION BY RANGE (bucket);
CREATE TABLE fabric_events (
    event_id bigint GENERATED ALWAYS AS IDENTITY,
    org_id text NOT NULL,
    node_id text NOT NULL,
    happened_at timestamptz NOT NULL,
    kind text NOT NULL,
    state text,
    state_before text,
    reason text NOT NULL,
    message text NOT NULL DEFAULT '',
    count integer NOT NULL DEFAULT 1,
    dedup text NOT NULL,
    PRIMARY KEY (event_id, happened_at),
    UNIQUE (org_id, node_id, dedup, happened_at)
) PARTITION BY RANGE (happened_at);
CREATE INDEX fabric_events_recent ON fabric_events (org_id, happened_at DESC, event_id DESC);
CREATE INDEX fabric_events_node ON fabric_events (org_id, node_id, happened_at DESC);
CREATE TABLE audit_log (
    audit_id bigint GENERATED ALWAYS AS IDENTITY,
    org_id text,
    happened_at timestamptz NOT NULL DEFAULT now(),
    subject text NOT NULL,
    action text NOT NULL,
    target text NOT NULL DEFAULT '',
    outcome text NOT NULL CHECK (outcome IN ('done', 'refused', 'failed')),
    detail jsonb NOT NULL DEFAULT '{}',
    address text,
    request_id text,
    PRIMARY KEY (audit_id, happened_at)
) PARTITION BY RANGE (happened_at);
CREATE INDEX audit_log_org ON audit_log (org_id, happened_at DESC, audit_id DESC);
CREATE TABLE fabric_node_history_default PARTITION OF fabric_node_history DEFAULT;
CREATE TABLE fabric_events_default PARTITION OF fabric_events DEFAULT;
CREATE TABLE audit_log_default PARTITION OF audit_log DEFAULT;
"""

TENANT = """
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'citadel_tenant') THEN
        CREATE ROLE citadel_tenant NOLOGIN;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL;
END $$;
DO $$
BEGIN
    IF CAST(current_setting('server_version_num') AS integer) < 160000 THEN
        IF NOT pg_has_role(current_user, 'citadel_tenant', 'MEMBER') THEN
            EXECUTE format('GRANT citadel_tenant TO %I', current_user);
        END IF;
    ELSIF NOT pg_has_role(current_user, 'citadel_tenant', 'SET') THEN
        EXECUTE format('GRANT citadel_tenant TO %I WITH INHERIT FALSE, SET TRUE', current_user);
    END IF;
    IF NOT has_schema_privilege('citadel_tenant', current_schema(), 'USAGE') THEN
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO citadel_tenant', current_schema());
    END IF;
END $$;
"""
"""The role is the server's, not the database's: others may make it at the same moment. Whoever
makes a role without being a superuser administers it, but may not become it unless told so."""

OF_AN_ORG = (
    "orgs",
    "users",
    "login_links",
    "sessions",
    "clusters",
    "nodes",
    "device_tokens",
    "device_auths",
    "node_configs",
    "fabric_node_status",
    "fabric_node_detail",
    "fabric_node_history",
    "fabric_events",
    "audit_log",
)
"""Tables with rows of one org each."""

RIGHTS = {
    "orgs": "SELECT",
    "device_auths": "SELECT",
    "audit_log": "SELECT, INSERT",
}
"""What a tenant may do where it is not everything with its own rows: quotas are the platform's,
what was noted stays as it is, and an enrolment has no org until somebody has decided."""


EVERYTHING = "SELECT, INSERT, UPDATE, DELETE"
"""What a tenant may do with its rows of any other table."""


def upgrade() -> None:
    """Make everything."""
    for statements in (ORGS, DEVICES, STATUS, HISTORY, TENANT):
        op.execute(statements)
    for table in OF_AN_ORG:
        op.execute(
            f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;"
            f"CREATE POLICY tenant ON {table} TO citadel_tenant"
            " USING (org_id = current_setting('citadel.org', true))"
            " WITH CHECK (org_id = current_setting('citadel.org', true));"
            f"GRANT {RIGHTS.get(table, EVERYTHING)} ON {table} TO citadel_tenant;"
        )
    op.execute("GRANT SELECT ON fabric_ingest TO citadel_tenant")


def downgrade() -> None:
    """Take everything back; the role stays, for others may use it."""
    for table in reversed((*OF_AN_ORG, "fabric_ingest")):
        op.execute(f"DROP TABLE IF EXISTS {table} CASCADE")
