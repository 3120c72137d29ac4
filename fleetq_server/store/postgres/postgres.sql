-- Queries by name, the same as SQLite's where the intention is. Lists of ids are JSON: ids($1).
-- States: 0 SCHEDULED, 1 PENDING, 2 CLAIMED, 3 COMPLETED, 4 FAILED, 5 CANCELLED.

-- name: start
BEGIN;

-- name: commit
COMMIT;

-- name: begun
SELECT extract(epoch FROM clock_timestamp())::float8, pg_current_xact_id()::text, pg_relation_size('steps');

-- name: settings
-- All statements here look up few rows by an index, one after the other: that is the plan to find.
-- Prepared ones are planned once for all values (see forget_plans): planning took as long as running.
-- What a server does not know is passed over: transaction_timeout is new in 17.
SELECT count(set_config(name, value, $4)) FROM (VALUES
    ('enable_seqscan', 'off'), ('enable_bitmapscan', 'off'), ('enable_hashjoin', 'off'), ('enable_mergejoin', 'off'),
    ('enable_hashagg', 'off'), ('enable_material', 'off'), ('jit', 'off'),
    ('plan_cache_mode', CASE WHEN $4 THEN 'auto' ELSE 'force_generic_plan' END),
    ('synchronous_commit', 'on'), ('lock_timeout', $1::text), ('idle_in_transaction_session_timeout', $2::text),
    ('transaction_timeout', $3::text)) AS s(name, value)
WHERE current_setting(name, true) IS NOT NULL;

-- name: forget_plans
DISCARD PLANS;

-- name: plan_each_time
SET LOCAL plan_cache_mode = force_custom_plan;

-- name: secret
SELECT value FROM secret;

-- name: take_step_ids
SELECT take_step_ids($1);

-- name: insert_step
INSERT INTO steps (id, lane, state, priority, timeout, created_at, run_at)
SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::smallint[], $4::int[], $5::float8[], $6::float8[], $7::float8[]);

-- name: insert_body
INSERT INTO bodies (step_id, metadata, idempotency_key, retry, payload)
SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::bytea[]);

-- name: find_key
SELECT step_id, digest FROM idempotency WHERE queue = $1 AND key = $2;

-- name: insert_key
INSERT INTO idempotency (queue, key, step_id, digest) VALUES ($1, $2, $3, $4);

-- name: find_request
SELECT digest, answer FROM requests WHERE id = $1;

-- name: insert_request
INSERT INTO requests (id, digest, answer, at) VALUES ($1, $2, $3, $4);

-- name: all_lanes
SELECT id, queue, kind FROM lanes;

-- name: insert_lane
INSERT INTO lanes (queue, kind) VALUES ($1, $2) ON CONFLICT (queue, kind) DO UPDATE SET queue = $1 RETURNING id;

-- name: count
-- In the order of lanes: two pods in one shard then wait for each other, but never in a circle.
INSERT INTO counts AS c (lane, shard, scheduled, pending, claimed, completed, failed, cancelled, submitted, pruned)
SELECT d.lane, $1::int, d.a, d.b, d.c, d.d, d.e, d.f, d.g, d.h
FROM unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[],
            $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[]) AS d(lane, a, b, c, d, e, f, g, h)
ORDER BY d.lane
ON CONFLICT (lane, shard) DO UPDATE SET
    scheduled = c.scheduled + excluded.scheduled, pending = c.pending + excluded.pending,
    claimed = c.claimed + excluded.claimed, completed = c.completed + excluded.completed,
    failed = c.failed + excluded.failed, cancelled = c.cancelled + excluded.cancelled,
    submitted = c.submitted + excluded.submitted, pruned = c.pruned + excluded.pruned;

-- name: insert_events
SELECT write_events($1::float8[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::text[]);

-- name: next_due
SELECT min(run_at) FROM steps WHERE state = 0;

-- name: next_due_from_now
SELECT min(run_at), extract(epoch FROM clock_timestamp())::float8 FROM steps WHERE state = 0;

-- name: due_now
SELECT EXISTS (SELECT 1 FROM steps WHERE state = 0 AND run_at <= n.now)
FROM (SELECT coalesce($1::float8, extract(epoch FROM clock_timestamp())::float8) AS now) AS n;

-- name: promote
UPDATE steps SET state = 1
WHERE id IN (SELECT id FROM steps WHERE state = 0 AND run_at <= $1 ORDER BY run_at LIMIT $2 FOR UPDATE SKIP LOCKED)
RETURNING lane;

-- name: is_ready
-- OFFSET 0 keeps the planner from a join that starts with all steps that are ready.
SELECT EXISTS (
    SELECT 1 FROM lanes AS l
    WHERE ($1::text[] IS NULL OR l.kind = ANY ($1)) AND ($2::text[] IS NULL OR l.queue = ANY ($2))
      AND NOT EXISTS (SELECT 1 FROM queues AS q WHERE q.name = l.queue AND q.paused)
      AND EXISTS (SELECT 1 FROM steps AS s WHERE s.lane = l.id AND s.state = 1 OFFSET 0));

-- name: any_ready
SELECT EXISTS (
    SELECT 1 FROM lanes AS l
    WHERE NOT EXISTS (SELECT 1 FROM queues AS q WHERE q.name = l.queue AND q.paused)
      AND EXISTS (SELECT 1 FROM steps AS s WHERE s.lane = l.id AND s.state = 1 OFFSET 0));

-- name: pick
-- Lanes with PENDING steps that this claim may take: those after $5 first, then those before, at
-- most $6. Each gives its first n from the partial index, the best n of those are locked: others
-- pass them over from now on. Materialised, for a plan that ran it twice would lock twice as many.
-- A step whose last attempt had this very fence is left to others: a late repeat must not revive
-- a used token. The last column is the last of the lanes if there may be more.
WITH ready AS MATERIALIZED (
    SELECT id, row_number() OVER () AS place FROM (
        (SELECT l.id FROM lanes AS l
         WHERE l.id > $5 AND ($1::text[] IS NULL OR l.kind = ANY ($1)) AND ($2::text[] IS NULL OR l.queue = ANY ($2))
           AND NOT EXISTS (SELECT 1 FROM queues AS q WHERE q.name = l.queue AND q.paused)
           AND EXISTS (SELECT 1 FROM steps AS s WHERE s.lane = l.id AND s.state = 1 OFFSET 0)
         ORDER BY l.id LIMIT $6)
        UNION ALL
        (SELECT l.id FROM lanes AS l
         WHERE l.id <= $5 AND ($1::text[] IS NULL OR l.kind = ANY ($1)) AND ($2::text[] IS NULL OR l.queue = ANY ($2))
           AND NOT EXISTS (SELECT 1 FROM queues AS q WHERE q.name = l.queue AND q.paused)
           AND EXISTS (SELECT 1 FROM steps AS s WHERE s.lane = l.id AND s.state = 1 OFFSET 0)
         ORDER BY l.id LIMIT $6)) AS l LIMIT $6),
candidates AS MATERIALIZED (
    SELECT c.id, c.priority FROM ready AS l CROSS JOIN LATERAL (
        SELECT s.id, s.priority FROM steps AS s
        WHERE s.lane = l.id AND s.state = 1 AND s.fence IS DISTINCT FROM $4 AND s.crashes < $7
        ORDER BY s.priority DESC, s.id LIMIT $3 FOR UPDATE SKIP LOCKED) AS c
    ORDER BY c.priority DESC, c.id LIMIT $3)
SELECT s.id, s.lane, s.attempt, s.priority, s.timeout, s.created_at, s.claimed_at,
       b.payload, b.metadata, b.idempotency_key, s.crashes, (SELECT id FROM ready WHERE place = $6)
FROM candidates AS c JOIN steps AS s ON s.id = c.id JOIN bodies AS b ON b.step_id = c.id
ORDER BY c.priority DESC, c.id;

-- name: holds_doubtful
SELECT count(*) FROM steps WHERE state = 2 AND holder = $1 AND crashes >= $2;

-- name: claim
UPDATE steps SET
    state = 2, attempt = attempt + 1, fence = $1, holder = $2, claimed_at = $3, expires_at = $3 + timeout, ending = NULL
WHERE id = ANY (ids($4));

-- name: claims_of_request
SELECT s.id, s.lane, s.attempt, s.priority, s.timeout, s.created_at, s.claimed_at,
       b.payload, b.metadata, b.idempotency_key, s.crashes
FROM steps AS s JOIN bodies AS b ON b.step_id = s.id
WHERE s.state = 2 AND s.holder = $1 AND s.fence = $2 ORDER BY s.priority DESC, s.id;

-- name: claiming_holder
-- Shared with claims through other pods; whoever declares this holder dead waits, and then finds them.
SELECT status, holder_id FROM holders WHERE key = $1 FOR SHARE;

-- name: repeating_holder
-- Two repeats of one request must not both find that it was never answered.
SELECT status, holder_id FROM holders WHERE key = $1 FOR NO KEY UPDATE;

-- name: complete
-- Whoever names steps has them looked up by id. Written state = 2, the planner prefers to walk
-- through all that is claimed, and through all that was since the last vacuum: its statistics are
-- mostly of a time when nothing was claimed. state::int keeps it from that index.
UPDATE steps AS s SET
    state = 3, ending = 1, expires_at = NULL,
    finished_at = coalesce($1::float8, extract(epoch FROM clock_timestamp())::float8)
FROM unnest(ids($2), ids($3)) AS d(id, fence)
WHERE s.id = d.id AND s.fence = d.fence AND s.state::int = 2
RETURNING s.id, s.fence, s.lane, s.holder;

-- name: insert_result
INSERT INTO results (step_id, data, json)
SELECT i, d, j <> 0 FROM unnest($1::bigint[], $2::bytea[], $3::bigint[]) AS r(i, d, j) ON CONFLICT DO NOTHING;

-- name: release
UPDATE steps AS s SET
    state = CASE WHEN cancel THEN 5 ELSE 1 END, finished_at = CASE WHEN cancel THEN $1::float8 END,
    attempt = attempt - 1, ending = 3, expires_at = NULL
FROM unnest(ids($2), ids($3)) AS d(id, fence)
WHERE s.id = d.id AND s.fence = d.fence AND s.state::int = 2
RETURNING s.id, s.lane, s.state, s.holder, s.fence;

-- name: release_stranded
UPDATE steps SET
    state = CASE WHEN cancel THEN 5 ELSE 1 END, finished_at = CASE WHEN cancel THEN $1::float8 END,
    attempt = attempt - 1, ending = 3, expires_at = NULL
WHERE state = 2 AND holder = ANY (ids($2)) AND fence = ANY (ids($3))
RETURNING id, lane, state, holder;

-- name: transaction_status
SELECT pg_xact_status($1::text::xid8);

-- name: standing_of_claims
SELECT id, state, fence, ending, cancel::int FROM steps WHERE id = ANY (ids($1));

-- name: claim_to_fail
SELECT s.lane, s.attempt, s.failures, s.cancel, s.claimed_at, h.holder_id, b.retry
FROM steps AS s JOIN bodies AS b ON b.step_id = s.id LEFT JOIN holders AS h ON h.key = s.holder
WHERE s.id = $1 AND s.fence = $2 AND s.state::int = 2 FOR UPDATE OF s;

-- name: end_failed_attempt
UPDATE steps SET
    state = $2, run_at = $3, finished_at = $4, fence = $5, failures = failures + 1,
    ending = 2, holder = NULL, expires_at = NULL
WHERE id = $1;

-- name: insert_attempt
INSERT INTO attempts (step_id, fence, attempt, holder, started_at, ended_at, cause, error, message)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9);

-- name: reported_failure
SELECT 1 FROM attempts WHERE step_id = $1 AND fence = $2;

-- name: insert_dead
INSERT INTO dead (step_id, lane, cause, error, message, died_at) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (step_id) DO UPDATE SET
    lane = excluded.lane, cause = excluded.cause, error = excluded.error, message = excluded.message,
    died_at = excluded.died_at;

-- name: expired_attempts
SELECT id, fence FROM (
    SELECT id, fence FROM steps
    WHERE state = 2 AND expires_at IS NOT NULL AND expires_at < $1 ORDER BY expires_at LIMIT $2
) AS late ORDER BY id;

-- name: find_holder
SELECT key, status FROM holders WHERE holder_id = $1;

-- name: holder_status
SELECT status, holder_id FROM holders WHERE key = $1 FOR NO KEY UPDATE;

-- name: holder_name
SELECT status, holder_id FROM holders WHERE key = $1;

-- name: insert_holder
INSERT INTO holders (holder_id, type, name, address, pid, version, max_parallelism, status, born_at, beat_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, 'live', $8, $9) RETURNING key;

-- name: beat
UPDATE holders SET beats = beats + 1, beat_at = $2, running = $3
WHERE key = $1 AND status IN ('live', 'draining') RETURNING status;

-- name: set_status
UPDATE holders SET status = $2 WHERE key = $1 AND status IN ('live', 'draining');

-- name: declare_dead
UPDATE holders SET status = 'dead', running = 0
WHERE key = $1 AND status IN ('live', 'draining') AND ($2::bigint IS NULL OR beats = $2) RETURNING holder_id;

-- name: mark_swept
-- Of those that were to be recovered, some may have been given back meanwhile, so that others are left.
UPDATE holders SET swept = true WHERE key = $1 AND NOT EXISTS (SELECT FROM steps WHERE state = 2 AND holder = $1);

-- name: unswept
-- One sweeps a holder at a time; nobody waits for a turn.
SELECT key, holder_id FROM holders WHERE status = 'dead' AND NOT swept ORDER BY key FOR NO KEY UPDATE SKIP LOCKED;

-- name: held
-- Locked by id, as everybody locks who names several steps: two that do could wait for each other.
SELECT id, lane, crashes, cancel, attempt, claimed_at FROM steps
WHERE id = ANY (ARRAY(SELECT id FROM steps WHERE state = 2 AND holder = $1 LIMIT $2))
  AND holder = $1 AND state::int = 2 FOR UPDATE;

-- name: recover
UPDATE steps SET state = 1, crashes = crashes + 1, fence = NULL, holder = NULL, expires_at = NULL
WHERE id = ANY (ids($1));

-- name: end_crashed
UPDATE steps SET
    state = $3, crashes = crashes + 1, fence = NULL, holder = NULL, expires_at = NULL, finished_at = $2
WHERE id = ANY (ids($1));

-- name: release_held
UPDATE steps SET
    state = CASE WHEN cancel THEN 5 ELSE 1 END, finished_at = CASE WHEN cancel THEN $2::float8 END,
    attempt = attempt - 1, ending = 3, expires_at = NULL
WHERE state = 2 AND holder = $1
RETURNING id, lane, state, holder;

-- name: put_progress
INSERT INTO progress (step_id, data)
SELECT id, $3 FROM steps WHERE id = $1 AND fence = $2 AND state::int = 2
ON CONFLICT (step_id) DO UPDATE SET data = excluded.data;

-- name: cancelling
SELECT id, fence FROM steps WHERE state = 2 AND cancel AND holder = $1;

-- name: leadership
SELECT l.term, l.holder, l.since, h.holder_id FROM leadership AS l LEFT JOIN holders AS h ON h.key = l.holder;

-- name: lock_term
-- First of all in whatever a leader does: its term cannot end before that is done.
SELECT 1 FROM leadership FOR SHARE;

-- name: lock_election
SELECT 1 FROM leadership FOR UPDATE;

-- name: eldest_pod
SELECT key FROM holders WHERE type = 'pod' AND status = 'live' ORDER BY born_at, holder_id LIMIT 1;

-- name: set_leader
UPDATE leadership SET term = term + 1, holder = $1, since = $2 WHERE term = $3 RETURNING term;

-- name: resign
UPDATE leadership SET holder = NULL, since = $3 WHERE term = $2 AND holder = $1;

-- name: to_cancel
SELECT s.id, s.state, s.lane, h.holder_id FROM steps AS s LEFT JOIN holders AS h ON h.key = s.holder
WHERE s.id = ANY (ids($1)) ORDER BY s.id FOR UPDATE OF s;

-- name: cancel_waiting
UPDATE steps SET state = 5, finished_at = $2 WHERE id = ANY (ids($1));

-- name: cancel_claimed
UPDATE steps SET cancel = true WHERE id = ANY (ids($1));

-- name: set_paused
INSERT INTO queues (name, paused) VALUES ($1, $2::bigint <> 0) ON CONFLICT (name) DO UPDATE SET paused = excluded.paused;

-- name: lock_dead
-- Redrive, purge and prune all take from the DLQ: one after the other.
SELECT value FROM meta WHERE name = 'prune_cursor' FOR UPDATE;

-- name: find_dead
SELECT d.step_id, d.lane FROM dead AS d JOIN lanes AS l ON l.id = d.lane
WHERE d.step_id > $1
  AND ($2::text IS NULL OR l.queue = $2) AND ($3::text IS NULL OR l.kind = $3)
  AND ($4::text IS NULL OR d.cause = $4) AND ($5::text IS NULL OR d.error = $5)
  AND ($6::float8 IS NULL OR d.died_at < $6) AND ($7::float8 IS NULL OR d.died_at > $7)
  AND ($8::text IS NULL OR d.step_id = ANY (ids($8)))
ORDER BY d.step_id LIMIT $9;

-- name: dead_causes
SELECT cause, count(*) FROM dead GROUP BY cause;

-- name: redrive
UPDATE steps SET
    state = $2, run_at = $3, failures = 0, crashes = 0, fence = NULL, ending = NULL, finished_at = NULL, cancel = false
WHERE id = $1;

-- name: delete_dead
DELETE FROM dead WHERE step_id = ANY (ids($1));

-- name: delete_steps
DELETE FROM steps WHERE id = ANY (ids($1));

-- name: delete_keys
DELETE FROM idempotency AS i USING bodies AS b, steps AS s, lanes AS l
WHERE b.step_id = ANY (ids($1)) AND b.idempotency_key IS NOT NULL AND s.id = b.step_id AND l.id = s.lane
  AND i.queue = l.queue AND i.key = b.idempotency_key;

-- name: delete_bodies
DELETE FROM bodies WHERE step_id = ANY (ids($1));

-- name: delete_results
DELETE FROM results WHERE step_id = ANY (ids($1));

-- name: delete_progress
DELETE FROM progress WHERE step_id = ANY (ids($1));

-- name: delete_attempts
DELETE FROM attempts WHERE step_id = ANY (ids($1));

-- name: prune_cursor
SELECT value FROM meta WHERE name = 'prune_cursor' FOR UPDATE;

-- name: set_prune_cursor
UPDATE meta SET value = $1 WHERE name = 'prune_cursor';

-- name: prunable
SELECT id, lane, state, finished_at FROM steps WHERE id > $1 ORDER BY id LIMIT $2;

-- name: prune_events
DELETE FROM events WHERE at < $1
  AND seq < (SELECT min(seq) FROM events) + $2 AND seq < (SELECT max(seq) FROM events);

-- name: prune_requests
DELETE FROM requests WHERE id IN (SELECT id FROM requests WHERE at < $1 ORDER BY at LIMIT $2);

-- name: prune_holders
DELETE FROM holders AS h WHERE beat_at < $1 AND (status = 'gone' OR (status = 'dead' AND swept))
  AND NOT EXISTS (SELECT 1 FROM steps AS s WHERE s.state = 2 AND s.holder = h.key OFFSET 0);

-- name: read_step
SELECT s.id, l.kind, l.queue, s.state, b.payload, b.metadata, s.priority, b.idempotency_key, b.retry, s.timeout,
       s.attempt, s.failures, s.crashes, s.created_at, s.run_at, s.claimed_at, s.finished_at,
       CASE WHEN s.state = 2 THEN h.holder_id END, s.cancel, p.data, r.data, r.json, d.cause, d.error, d.message
FROM steps AS s JOIN bodies AS b ON b.step_id = s.id JOIN lanes AS l ON l.id = s.lane
LEFT JOIN holders AS h ON h.key = s.holder LEFT JOIN progress AS p ON p.step_id = s.id
LEFT JOIN results AS r ON r.step_id = s.id LEFT JOIN dead AS d ON d.step_id = s.id
WHERE s.id = $1;

-- name: read_attempts
SELECT attempt, holder, started_at, ended_at, cause, error, message FROM attempts WHERE step_id = $1 ORDER BY id;

-- name: id_range
SELECT coalesce(min(id), 1), coalesce(max(id), 0) FROM steps;

-- name: list_ids
SELECT s.id FROM steps AS s
WHERE s.id < $1 AND s.id >= $2 AND ($3::text IS NULL OR s.state = ANY (ids($3)))
  AND ($4::text IS NULL OR s.lane = ANY (ids($4)))
ORDER BY s.id DESC LIMIT $5;

-- name: lanes_matching
SELECT '[' || coalesce(string_agg(id::text, ','), '') || ']' FROM lanes
WHERE ($1::text IS NULL OR queue = $1) AND ($2::text IS NULL OR kind = $2);

-- name: ended
SELECT s.id, s.state, r.data, r.json, d.cause, d.error, d.message, s.attempt
FROM steps AS s
LEFT JOIN LATERAL (SELECT data, json FROM results WHERE step_id = s.id OFFSET 0) AS r ON true
LEFT JOIN LATERAL (SELECT cause, error, message FROM dead WHERE step_id = s.id OFFSET 0) AS d ON true
WHERE s.id = ANY (ids($1)) AND s.state >= 3;

-- name: known
SELECT id FROM steps WHERE id = ANY (ids($1));

-- name: list_holders
SELECT key, holder_id, type, name, address, pid, version, max_parallelism, status, born_at, beat_at, beats, running
FROM holders WHERE $1::bigint <> 0 OR status IN ('live', 'draining') ORDER BY born_at, holder_id;

-- name: queue_counts
SELECT l.queue, max(coalesce(q.paused::int, 0)), sum(c.submitted)::bigint, sum(c.scheduled)::bigint,
       sum(c.pending)::bigint, sum(c.claimed)::bigint, sum(c.completed)::bigint, sum(c.failed)::bigint,
       sum(c.cancelled)::bigint, sum(c.pruned)::bigint
FROM lanes AS l JOIN counts AS c ON c.lane = l.id LEFT JOIN queues AS q ON q.name = l.queue GROUP BY l.queue
UNION ALL
SELECT name, paused::int, 0, 0, 0, 0, 0, 0, 0, 0 FROM queues WHERE name NOT IN (SELECT queue FROM lanes)
ORDER BY 1;

-- name: count_live_pods
SELECT count(*) FROM holders WHERE type = 'pod' AND status IN ('live', 'draining');

-- name: event_horizon
SELECT event_horizon();

-- name: read_events
SELECT seq, at, type, queue, holder, term, steps, detail FROM events WHERE seq > $1 AND seq < $3 ORDER BY seq LIMIT $2;

-- name: last_event
SELECT seq, at, type, queue, holder, term, steps, detail FROM events WHERE seq < $1 ORDER BY seq DESC LIMIT 1;

-- name: version
-- Changes with each commit that has events: with the last number drawn, and with who has drawn but not committed.
SELECT last_value, event_horizon() FROM event_seq;

-- name: scan_lanes
SELECT lane, state, count(*) FROM steps GROUP BY lane, state;

-- name: lane_counters
SELECT l.id, l.queue, l.kind, sum(c.submitted)::bigint, sum(c.scheduled)::bigint, sum(c.pending)::bigint,
       sum(c.claimed)::bigint, sum(c.completed)::bigint, sum(c.failed)::bigint, sum(c.cancelled)::bigint, sum(c.pruned)::bigint
FROM lanes AS l JOIN counts AS c ON c.lane = l.id GROUP BY l.id ORDER BY l.id;

-- name: orphaned_claims
SELECT s.id FROM steps AS s LEFT JOIN holders AS h ON h.key = s.holder
WHERE s.state = 2 AND (h.key IS NULL OR h.status = 'gone' OR (h.status = 'dead' AND h.swept)) LIMIT 10;

-- name: bodiless
SELECT id FROM steps AS s WHERE NOT EXISTS (SELECT 1 FROM bodies AS b WHERE b.step_id = s.id) LIMIT 10;

-- name: stray_bodies
SELECT step_id FROM bodies AS b WHERE NOT EXISTS (SELECT 1 FROM steps AS s WHERE s.id = b.step_id) LIMIT 10;

-- name: failed_without_cause
SELECT id FROM steps AS s WHERE state = 4 AND NOT EXISTS (SELECT 1 FROM dead AS d WHERE d.step_id = s.id) LIMIT 10;

-- name: dead_not_failed
SELECT step_id FROM dead AS d
WHERE NOT EXISTS (SELECT 1 FROM steps AS s WHERE s.id = d.step_id AND s.state = 4) LIMIT 10;

-- name: health
SELECT pg_database_size(current_database()),
       (SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0)::float8
        FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()),
       (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()),
       current_setting('max_connections')::bigint;
