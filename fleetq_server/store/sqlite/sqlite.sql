-- Queries by name. States: 0 SCHEDULED, 1 PENDING, 2 CLAIMED, 3 COMPLETED, 4 FAILED, 5 CANCELLED.

-- name: take_step_ids
UPDATE meta SET value = value + ?1 WHERE name = 'next_step' RETURNING value - ?1;

-- name: insert_step
INSERT INTO steps (id, lane, state, priority, timeout, created_at, run_at) VALUES (?, ?, ?, ?, ?, ?, ?);

-- name: insert_body
INSERT INTO bodies (step_id, metadata, idempotency_key, retry, payload) VALUES (?, ?, ?, ?, ?);

-- name: find_key
SELECT step_id, digest FROM idempotency WHERE queue = ? AND key = ?;

-- name: insert_key
INSERT INTO idempotency (queue, key, step_id, digest) VALUES (?, ?, ?, ?);

-- name: find_request
SELECT digest, answer FROM requests WHERE id = ?;

-- name: insert_request
INSERT INTO requests (id, digest, answer, at) VALUES (?, ?, ?, ?);

-- name: all_lanes
SELECT id, queue, kind FROM lanes;

-- name: insert_lane
INSERT INTO lanes (queue, kind) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET queue = ?1 RETURNING id;

-- name: count
UPDATE lanes SET
    scheduled = scheduled + ?2, pending = pending + ?3, claimed = claimed + ?4, completed = completed + ?5,
    failed = failed + ?6, cancelled = cancelled + ?7, submitted = submitted + ?8, pruned = pruned + ?9
WHERE id = ?1;

-- name: insert_event
INSERT INTO events (at, type, queue, holder, term, steps, detail) VALUES (?, ?, ?, ?, ?, ?, ?);

-- name: next_due
SELECT min(run_at) FROM steps INDEXED BY steps_scheduled WHERE state = 0;

-- name: promote
UPDATE steps SET state = 1
WHERE id IN (SELECT id FROM steps INDEXED BY steps_scheduled WHERE state = 0 AND run_at <= ?1 ORDER BY run_at LIMIT ?2)
RETURNING lane;

-- name: ready_lanes
-- {wanted} is the claim's kinds and queues: plain lists, since a table function costs more than the query.
SELECT id FROM lanes INDEXED BY lanes_ready
WHERE pending > 0 {wanted} AND NOT EXISTS (SELECT 1 FROM queues WHERE name = lanes.queue AND paused)
LIMIT ?;

-- name: ready_lanes_in_turn
SELECT id FROM lanes INDEXED BY lanes_ready
WHERE pending > 0 {wanted} AND NOT EXISTS (SELECT 1 FROM queues WHERE name = lanes.queue AND paused)
  AND id > ? ORDER BY id LIMIT ?;

-- name: is_paused
SELECT 1 FROM queues WHERE name = ? AND paused;

-- name: pick
-- Each lane gives its first n from the partial index; the best n of those are taken. A step whose
-- last attempt had this very fence is left to others: a late repeat must not revive a used token.
SELECT json_group_array(id) FROM (
    SELECT s.id FROM json_each(?1) AS l CROSS JOIN steps AS s
    WHERE s.id IN (
        SELECT id FROM steps INDEXED BY steps_ready
        WHERE lane = l.value AND state = 1 ORDER BY priority DESC, id LIMIT ?2)
      AND s.fence IS NOT ?3
    ORDER BY s.priority DESC, s.id LIMIT ?2);

-- name: pick_from_one_lane
-- The same for what is mostly so, at less than half the price.
SELECT json_group_array(id) FROM (
    SELECT id FROM steps INDEXED BY steps_ready
    WHERE lane = ?1 AND state = 1 AND fence IS NOT ?3 ORDER BY priority DESC, id LIMIT ?2);

-- name: pick_sound
-- The same as pick without the doubtful ones.
SELECT json_group_array(id) FROM (
    SELECT s.id FROM json_each(?1) AS l CROSS JOIN steps AS s
    WHERE s.id IN (
        SELECT id FROM steps INDEXED BY steps_ready
        WHERE lane = l.value AND state = 1 AND crashes < ?4 ORDER BY priority DESC, id LIMIT ?2)
      AND s.fence IS NOT ?3
    ORDER BY s.priority DESC, s.id LIMIT ?2);

-- name: holds_doubtful
SELECT count(*) FROM steps INDEXED BY steps_held WHERE state = 2 AND holder = ? AND crashes >= ?;

-- name: claim
UPDATE steps SET
    state = 2, attempt = attempt + 1, fence = ?1, holder = ?2, claimed_at = ?3, expires_at = ?3 + timeout, ending = NULL
WHERE id IN (SELECT value FROM json_each(?4));

-- name: claimed
-- What is claimed already or, with a time of now, about to be.
SELECT s.id, b.payload, b.metadata, b.idempotency_key, s.attempt + (?2 IS NOT NULL),
       s.priority, s.timeout, s.created_at, coalesce(?2, s.claimed_at), s.lane, s.crashes
FROM json_each(?1) AS j CROSS JOIN steps AS s ON s.id = j.value CROSS JOIN bodies AS b ON b.step_id = s.id;

-- name: claims_of_request
SELECT json_group_array(id) FROM (
    SELECT id FROM steps INDEXED BY steps_held WHERE state = 2 AND holder = ? AND fence = ?
    ORDER BY priority DESC, id);

-- name: completable
-- The plus keeps the planner off the index of claimed steps, which it would scan from end to end.
SELECT lane, count(*), json_group_array(id), max(holder) FROM steps
WHERE id IN (SELECT value FROM json_each(?1)) AND fence = ?2 AND +state = 2 GROUP BY lane;

-- name: complete
-- Without RETURNING: a row of that costs as much as the update itself.
UPDATE steps SET state = 3, ending = 1, finished_at = ?1, expires_at = NULL
WHERE id IN (SELECT value FROM json_each(?2));

-- name: insert_result
INSERT OR IGNORE INTO results (step_id, data, json) VALUES (?, ?, ?);

-- name: release
-- The holder stays in its column, as with completed steps: the event names it.
UPDATE steps SET
    state = iif(cancel, 5, 1), finished_at = iif(cancel, ?1, NULL), attempt = attempt - 1,
    ending = 3, expires_at = NULL
WHERE id IN (SELECT value FROM json_each(?2)) AND fence = ?3 AND +state = 2
RETURNING id, lane, state, holder;

-- name: standing_of_claims
SELECT id, state, fence, ending, cancel FROM steps WHERE id IN (SELECT value FROM json_each(?));

-- name: claim_to_fail
SELECT s.lane, s.attempt, s.failures, s.cancel, s.claimed_at, h.holder_id, b.retry
FROM steps AS s JOIN bodies AS b ON b.step_id = s.id LEFT JOIN holders AS h ON h.key = s.holder
WHERE s.id = ? AND s.fence = ? AND s.state = 2;

-- name: end_failed_attempt
UPDATE steps SET
    state = ?2, run_at = ?3, finished_at = ?4, fence = ?5, failures = failures + 1,
    ending = 2, holder = NULL, expires_at = NULL
WHERE id = ?1;

-- name: insert_attempt
INSERT INTO attempts (step_id, fence, attempt, holder, started_at, ended_at, cause, error, message)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: reported_failure
SELECT 1 FROM attempts WHERE step_id = ? AND fence = ?;

-- name: insert_dead
INSERT OR REPLACE INTO dead (step_id, lane, cause, error, message, died_at) VALUES (?, ?, ?, ?, ?, ?);

-- name: expired_attempts
SELECT id, fence FROM steps INDEXED BY steps_expiring
WHERE state = 2 AND expires_at IS NOT NULL AND expires_at < ? ORDER BY expires_at LIMIT ?;

-- name: find_holder
SELECT key, status FROM holders WHERE holder_id = ?;

-- name: holder_status
SELECT status, holder_id FROM holders WHERE key = ?;

-- name: insert_holder
INSERT INTO holders (holder_id, type, name, address, pid, version, max_parallelism, status, born_at, beat_at)
VALUES (?, ?, ?, ?, ?, ?, ?, 'live', ?, ?) RETURNING key;

-- name: beat
UPDATE holders SET beats = beats + 1, beat_at = ?2, running = ?3
WHERE key = ?1 AND status IN ('live', 'draining') RETURNING status;

-- name: set_status
UPDATE holders SET status = ?2 WHERE key = ?1 AND status IN ('live', 'draining');

-- name: declare_dead
UPDATE holders SET status = 'dead', running = 0
WHERE key = ?1 AND status IN ('live', 'draining') AND (?2 IS NULL OR beats = ?2) RETURNING holder_id;

-- name: mark_swept
UPDATE holders SET swept = 1 WHERE key = ?;

-- name: unswept
SELECT key, holder_id FROM holders WHERE status = 'dead' AND NOT swept;

-- name: held
SELECT id, lane, crashes, cancel, attempt, claimed_at FROM steps INDEXED BY steps_held
WHERE state = 2 AND holder = ? LIMIT ?;

-- name: recover
UPDATE steps SET
    state = 1, crashes = crashes + 1, fence = NULL, holder = NULL, expires_at = NULL
WHERE id IN (SELECT value FROM json_each(?));

-- name: end_crashed
UPDATE steps SET
    state = ?3, crashes = crashes + 1, fence = NULL, holder = NULL, expires_at = NULL, finished_at = ?2
WHERE id IN (SELECT value FROM json_each(?1));

-- name: release_held
UPDATE steps SET
    state = iif(cancel, 5, 1), finished_at = iif(cancel, ?2, NULL), attempt = attempt - 1,
    ending = 3, expires_at = NULL
WHERE state = 2 AND holder = ?1
RETURNING id, lane, state, holder;

-- name: put_progress
INSERT INTO progress (step_id, data)
SELECT ?1, ?3 FROM steps WHERE id = ?1 AND fence = ?2 AND state = 2
ON CONFLICT DO UPDATE SET data = excluded.data;

-- name: cancelling
SELECT id, fence FROM steps INDEXED BY steps_cancelling WHERE state = 2 AND cancel = 1 AND holder = ?;

-- name: leadership
SELECT l.term, l.holder, l.since, h.holder_id FROM leadership AS l LEFT JOIN holders AS h ON h.key = l.holder;

-- name: eldest_pod
SELECT key FROM holders WHERE type = 'pod' AND status = 'live' ORDER BY born_at, holder_id LIMIT 1;

-- name: set_leader
UPDATE leadership SET term = term + 1, holder = ?1, since = ?2 WHERE term = ?3 RETURNING term;

-- name: resign
UPDATE leadership SET holder = NULL, since = ?3 WHERE term = ?2 AND holder = ?1;

-- name: to_cancel
SELECT s.id, s.state, s.lane, h.holder_id FROM steps AS s LEFT JOIN holders AS h ON h.key = s.holder
WHERE s.id IN (SELECT value FROM json_each(?));

-- name: cancel_waiting
UPDATE steps SET state = 5, finished_at = ?2 WHERE id IN (SELECT value FROM json_each(?1));

-- name: cancel_claimed
UPDATE steps SET cancel = 1 WHERE id IN (SELECT value FROM json_each(?));

-- name: set_paused
INSERT INTO queues (name, paused) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET paused = ?2;

-- name: find_dead
SELECT d.step_id, d.lane FROM dead AS d JOIN lanes AS l ON l.id = d.lane
WHERE d.step_id > :after
  AND (:queue IS NULL OR l.queue = :queue) AND (:kind IS NULL OR l.kind = :kind)
  AND (:cause IS NULL OR d.cause = :cause) AND (:error IS NULL OR d.error = :error)
  AND (:before IS NULL OR d.died_at < :before) AND (:since IS NULL OR d.died_at > :since)
  AND (:ids IS NULL OR d.step_id IN (SELECT value FROM json_each(:ids)))
ORDER BY d.step_id LIMIT :limit;

-- name: dead_causes
SELECT cause, count(*) FROM dead GROUP BY cause;

-- name: redrive
UPDATE steps SET
    state = ?2, run_at = ?3, failures = 0, crashes = 0, fence = NULL, ending = NULL, finished_at = NULL, cancel = 0
WHERE id = ?1;

-- name: delete_dead
DELETE FROM dead WHERE step_id IN (SELECT value FROM json_each(?));

-- name: delete_steps
DELETE FROM steps WHERE id IN (SELECT value FROM json_each(?));

-- name: delete_keys
DELETE FROM idempotency WHERE (queue, key) IN (
    SELECT l.queue, b.idempotency_key FROM json_each(?) AS j
    JOIN bodies AS b ON b.step_id = j.value JOIN steps AS s ON s.id = j.value JOIN lanes AS l ON l.id = s.lane
    WHERE b.idempotency_key IS NOT NULL);

-- name: delete_bodies
DELETE FROM bodies WHERE step_id IN (SELECT value FROM json_each(?));

-- name: delete_results
DELETE FROM results WHERE step_id IN (SELECT value FROM json_each(?));

-- name: delete_progress
DELETE FROM progress WHERE step_id IN (SELECT value FROM json_each(?));

-- name: delete_attempts
DELETE FROM attempts WHERE step_id IN (SELECT value FROM json_each(?));

-- name: prune_cursor
SELECT value FROM meta WHERE name = 'prune_cursor';

-- name: set_prune_cursor
UPDATE meta SET value = ? WHERE name = 'prune_cursor';

-- name: prunable
SELECT id, lane, state, finished_at FROM steps WHERE id > ? ORDER BY id LIMIT ?;

-- name: prune_events
-- The newest stays, so that no number is ever given twice.
DELETE FROM events WHERE at < ?1
  AND seq < (SELECT min(seq) FROM events) + ?2 AND seq < (SELECT max(seq) FROM events);

-- name: prune_requests
DELETE FROM requests WHERE id IN (SELECT id FROM requests WHERE at < ? ORDER BY at LIMIT ?);

-- name: prune_holders
DELETE FROM holders WHERE beat_at < ?1 AND (status = 'gone' OR (status = 'dead' AND swept))
  AND key NOT IN (SELECT holder FROM steps WHERE state = 2 AND holder = holders.key);

-- name: read_step
SELECT s.id, l.kind, l.queue, s.state, b.payload, b.metadata, s.priority, b.idempotency_key, b.retry, s.timeout,
       s.attempt, s.failures, s.crashes, s.created_at, s.run_at, s.claimed_at, s.finished_at,
       iif(s.state = 2, h.holder_id, NULL), s.cancel, p.data, r.data, r.json, d.cause, d.error, d.message
FROM steps AS s JOIN bodies AS b ON b.step_id = s.id JOIN lanes AS l ON l.id = s.lane
LEFT JOIN holders AS h ON h.key = s.holder LEFT JOIN progress AS p ON p.step_id = s.id
LEFT JOIN results AS r ON r.step_id = s.id LEFT JOIN dead AS d ON d.step_id = s.id
WHERE s.id = ?;

-- name: read_attempts
SELECT attempt, holder, started_at, ended_at, cause, error, message FROM attempts WHERE step_id = ? ORDER BY rowid;

-- name: id_range
SELECT coalesce(min(id), 1), coalesce(max(id), 0) FROM steps;

-- name: list_ids
SELECT s.id FROM steps AS s
WHERE s.id < :after AND s.id >= :down_to AND (:states IS NULL OR s.state IN (SELECT value FROM json_each(:states)))
  AND (:lanes IS NULL OR s.lane IN (SELECT value FROM json_each(:lanes)))
ORDER BY s.id DESC LIMIT :limit;

-- name: lanes_matching
SELECT json_group_array(id) FROM lanes WHERE (?1 IS NULL OR queue = ?1) AND (?2 IS NULL OR kind = ?2);

-- name: ended
SELECT s.id, s.state, r.data, r.json, d.cause, d.error, d.message, s.attempt
FROM steps AS s LEFT JOIN results AS r ON r.step_id = s.id LEFT JOIN dead AS d ON d.step_id = s.id
WHERE s.id IN (SELECT value FROM json_each(?)) AND s.state >= 3;

-- name: known
SELECT id FROM steps WHERE id IN (SELECT value FROM json_each(?));

-- name: list_holders
SELECT key, holder_id, type, name, address, pid, version, max_parallelism, status, born_at, beat_at, beats, running
FROM holders WHERE ?1 OR status IN ('live', 'draining') ORDER BY born_at, holder_id;

-- name: queue_counts
SELECT l.queue, max(coalesce(q.paused, 0)), sum(submitted), sum(scheduled), sum(pending), sum(claimed),
       sum(completed), sum(failed), sum(cancelled), sum(pruned)
FROM lanes AS l LEFT JOIN queues AS q ON q.name = l.queue GROUP BY l.queue
UNION ALL
SELECT name, paused, 0, 0, 0, 0, 0, 0, 0, 0 FROM queues WHERE name NOT IN (SELECT queue FROM lanes)
ORDER BY 1;

-- name: count_live_pods
SELECT count(*) FROM holders WHERE type = 'pod' AND status IN ('live', 'draining');

-- name: read_events
SELECT seq, at, type, queue, holder, term, steps, detail FROM events WHERE seq > ? ORDER BY seq LIMIT ?;

-- name: last_event
SELECT seq, at, type, queue, holder, term, steps, detail FROM events ORDER BY seq DESC LIMIT 1;

-- name: scan_lanes
SELECT lane, state, count(*) FROM steps GROUP BY lane, state;

-- name: lane_counters
SELECT id, queue, kind, submitted, scheduled, pending, claimed, completed, failed, cancelled, pruned FROM lanes;

-- name: orphaned_claims
SELECT s.id FROM steps AS s LEFT JOIN holders AS h ON h.key = s.holder
WHERE s.state = 2 AND (h.key IS NULL OR h.status = 'gone' OR (h.status = 'dead' AND h.swept)) LIMIT 10;

-- name: bodiless
SELECT id FROM steps WHERE id NOT IN (SELECT step_id FROM bodies) LIMIT 10;

-- name: stray_bodies
SELECT step_id FROM bodies WHERE step_id NOT IN (SELECT id FROM steps) LIMIT 10;

-- name: failed_without_cause
SELECT id FROM steps WHERE state = 4 AND id NOT IN (SELECT step_id FROM dead) LIMIT 10;

-- name: dead_not_failed
SELECT step_id FROM dead WHERE step_id NOT IN (SELECT id FROM steps WHERE state = 4) LIMIT 10;
