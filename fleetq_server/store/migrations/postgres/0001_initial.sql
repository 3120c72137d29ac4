-- serves: the oldest schema number whose code can still work with the store as it is then.
CREATE TABLE schema_migrations (number int PRIMARY KEY, serves int NOT NULL, at timestamptz NOT NULL DEFAULT now());

-- Ids are lists in JSON, as the other store takes them.
CREATE FUNCTION ids(list text) RETURNS bigint[] LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN translate(list, '[]', '{}')::bigint[];

-- Hot rows are narrow: a claim rewrites one of about a hundred bytes, never the payload beside it.
-- Dead versions are removed early, or every claim would step over them.
CREATE TABLE steps (
    id          bigint PRIMARY KEY,
    lane        bigint NOT NULL,
    created_at  float8 NOT NULL,
    run_at      float8,
    claimed_at  float8,
    expires_at  float8,
    finished_at float8,
    timeout     float8,
    fence       bigint,
    holder      bigint,
    priority    int NOT NULL,
    attempt     int NOT NULL DEFAULT 0,
    failures    int NOT NULL DEFAULT 0,
    crashes     int NOT NULL DEFAULT 0,
    state       smallint NOT NULL,
    ending      smallint,
    cancel      boolean NOT NULL DEFAULT false
) WITH (
    fillfactor = 70,
    autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 5000,
    autovacuum_analyze_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0
);

-- Ready rows in one index, scheduled in another, claimed by holder in a third; finished rows in none.
CREATE INDEX steps_ready ON steps (lane, priority DESC, id) WHERE state = 1;
CREATE INDEX steps_scheduled ON steps (run_at) WHERE state = 0;
CREATE INDEX steps_held ON steps (holder) WHERE state = 2;
CREATE INDEX steps_expiring ON steps (expires_at) WHERE state = 2 AND expires_at IS NOT NULL;
CREATE INDEX steps_cancelling ON steps (holder) WHERE state = 2 AND cancel;

CREATE TABLE bodies (
    step_id         bigint PRIMARY KEY,
    metadata        text,
    idempotency_key text,
    retry           text,
    payload         bytea NOT NULL
);

CREATE TABLE results (step_id bigint PRIMARY KEY, data bytea NOT NULL, json boolean NOT NULL);
CREATE TABLE progress (step_id bigint PRIMARY KEY, data bytea NOT NULL);

-- A lane is a queue and a kind.
CREATE TABLE lanes (
    id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    queue text NOT NULL,
    kind  text NOT NULL,
    UNIQUE (queue, kind)
);
CREATE INDEX lanes_kind ON lanes (kind, queue);

-- A lane's counters are the sums over its shards. Pods count in different shards, so that none
-- waits for another's commit to count its own.
CREATE TABLE counts (
    lane      bigint NOT NULL,
    shard     int NOT NULL,
    scheduled bigint NOT NULL,
    pending   bigint NOT NULL,
    claimed   bigint NOT NULL,
    completed bigint NOT NULL,
    failed    bigint NOT NULL,
    cancelled bigint NOT NULL,
    submitted bigint NOT NULL,
    pruned    bigint NOT NULL,
    PRIMARY KEY (lane, shard)
) WITH (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
CREATE SEQUENCE shards;

CREATE TABLE queues (name text PRIMARY KEY, paused boolean NOT NULL);

CREATE TABLE idempotency (
    queue   text NOT NULL,
    key     text NOT NULL,
    step_id bigint NOT NULL,
    digest  bytea NOT NULL,
    PRIMARY KEY (queue, key)
);

CREATE TABLE requests (id text PRIMARY KEY, digest bytea NOT NULL, answer text NOT NULL, at float8 NOT NULL);
CREATE INDEX requests_at ON requests (at);

-- fence: how a holder that reported the failure is told from one that repeats the report.
CREATE TABLE attempts (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    step_id    bigint NOT NULL,
    fence      bigint,
    attempt    int NOT NULL,
    holder     text NOT NULL,
    started_at float8 NOT NULL,
    ended_at   float8 NOT NULL,
    cause      text NOT NULL,
    error      text NOT NULL,
    message    text NOT NULL
);
CREATE INDEX attempts_step ON attempts (step_id);

CREATE TABLE dead (
    step_id bigint PRIMARY KEY,
    lane    bigint NOT NULL,
    cause   text NOT NULL,
    error   text NOT NULL,
    message text NOT NULL,
    died_at float8 NOT NULL
);

-- A key is a fence too: an identity is never given twice.
CREATE TABLE holders (
    key             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    holder_id       text NOT NULL UNIQUE,
    type            text NOT NULL,
    name            text NOT NULL,
    address         text NOT NULL,
    pid             bigint NOT NULL,
    version         text NOT NULL,
    max_parallelism bigint NOT NULL,
    status          text NOT NULL,
    swept           boolean NOT NULL DEFAULT false,
    born_at         float8 NOT NULL,
    beat_at         float8 NOT NULL,
    beats           bigint NOT NULL DEFAULT 0,
    running         bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);

CREATE TABLE leadership (term bigint NOT NULL, holder bigint, since float8);
INSERT INTO leadership VALUES (0, NULL, NULL);

CREATE TABLE events (
    seq    bigint PRIMARY KEY,
    at     float8 NOT NULL,
    type   text NOT NULL,
    queue  text,
    holder text,
    term   bigint,
    steps  text,
    detail text
);
CREATE SEQUENCE event_seq;

-- Numbers of events are drawn before they are committed, so a reader may see 8 before there is a 7.
-- Each transaction therefore marks, by a shared lock, from which number on its events may be;
-- readers stop below the lowest mark. A lock is gone with its transaction, however that ends.
CREATE FUNCTION write_events(
    at float8[], type text[], queue text[], holder text[], term bigint[], steps text[], detail text[]
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(1718379878, ((last_value + is_called::int) & 2147483647)::int) FROM event_seq;
    INSERT INTO events
    SELECT nextval('event_seq'), e.* FROM unnest(at, type, queue, holder, term, steps, detail) AS e;
END $$;

-- The number below which all events are there, for a *later* statement to read.
CREATE FUNCTION event_horizon() RETURNS bigint LANGUAGE sql VOLATILE AS $$
    SELECT least(
        s.next,
        (SELECT min(s.next - ((s.next - objid::bigint) & 2147483647)) FROM pg_locks
         WHERE locktype = 'advisory' AND classid = 1718379878 AND objsubid = 2
           AND database = (SELECT oid FROM pg_database WHERE datname = current_database())))
    FROM (SELECT last_value + is_called::int AS next FROM event_seq) AS s
$$;

-- Ids of one submit are consecutive, also among pods; the lock is held for this one call only.
CREATE SEQUENCE step_ids;
CREATE FUNCTION take_step_ids(wanted bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE first bigint;
BEGIN
    PERFORM pg_advisory_lock(1718379879, 1);
    first := nextval('step_ids');
    PERFORM setval('step_ids', first + wanted - 1);
    PERFORM pg_advisory_unlock(1718379879, 1);
    RETURN first;
END $$;

CREATE TABLE meta (name text PRIMARY KEY, value bigint NOT NULL);
INSERT INTO meta VALUES ('prune_cursor', 0);
CREATE TABLE secret (value bytea NOT NULL);
INSERT INTO secret VALUES (uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()));
