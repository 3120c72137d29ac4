-- Hot rows are narrow: a claim rewrites one of about a hundred bytes, never the payload beside it.
CREATE TABLE steps (
    id         INTEGER PRIMARY KEY,
    lane       INTEGER NOT NULL,
    state      INTEGER NOT NULL,
    priority   INTEGER NOT NULL,
    attempt    INTEGER NOT NULL DEFAULT 0,
    failures   INTEGER NOT NULL DEFAULT 0,
    crashes    INTEGER NOT NULL DEFAULT 0,
    cancel     INTEGER NOT NULL DEFAULT 0,
    ending     INTEGER,
    fence      INTEGER,
    holder     INTEGER,
    timeout    REAL,
    created_at REAL NOT NULL,
    run_at     REAL,
    claimed_at REAL,
    expires_at REAL,
    finished_at REAL
) STRICT;

-- Ready rows in one index, scheduled in another, claimed by holder in a third; finished rows in none.
CREATE INDEX steps_ready ON steps (lane, priority DESC, id) WHERE state = 1;
CREATE INDEX steps_scheduled ON steps (run_at) WHERE state = 0;
CREATE INDEX steps_held ON steps (holder) WHERE state = 2;
CREATE INDEX steps_expiring ON steps (expires_at) WHERE state = 2 AND expires_at IS NOT NULL;
CREATE INDEX steps_cancelling ON steps (holder) WHERE state = 2 AND cancel = 1;

-- The payload last: what is before it is read without walking through its overflow pages.
CREATE TABLE bodies (
    step_id         INTEGER PRIMARY KEY,
    metadata        TEXT,
    idempotency_key TEXT,
    retry           TEXT,
    payload         BLOB NOT NULL
) STRICT;

CREATE TABLE results (step_id INTEGER PRIMARY KEY, data BLOB NOT NULL, json INTEGER NOT NULL) STRICT;
CREATE TABLE progress (step_id INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT;

-- A lane is a queue and a kind: claims look at lanes a pod can run, so foreign kinds cost it nothing.
-- Its counters are written once per transaction that touched it.
CREATE TABLE lanes (
    id        INTEGER PRIMARY KEY,
    queue     TEXT NOT NULL,
    kind      TEXT NOT NULL,
    submitted INTEGER NOT NULL DEFAULT 0,
    scheduled INTEGER NOT NULL DEFAULT 0,
    pending   INTEGER NOT NULL DEFAULT 0,
    claimed   INTEGER NOT NULL DEFAULT 0,
    completed INTEGER NOT NULL DEFAULT 0,
    failed    INTEGER NOT NULL DEFAULT 0,
    cancelled INTEGER NOT NULL DEFAULT 0,
    pruned    INTEGER NOT NULL DEFAULT 0,
    UNIQUE (queue, kind)
) STRICT;
CREATE INDEX lanes_ready ON lanes (kind, queue) WHERE pending > 0;

CREATE TABLE queues (name TEXT PRIMARY KEY, paused INTEGER NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE idempotency (
    queue   TEXT NOT NULL,
    key     TEXT NOT NULL,
    step_id INTEGER NOT NULL,
    digest  BLOB NOT NULL,
    PRIMARY KEY (queue, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE requests (
    id     TEXT PRIMARY KEY,
    digest BLOB NOT NULL,
    answer TEXT NOT NULL,
    at     REAL NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX requests_at ON requests (at);

-- fence: how a holder that reported the failure is told from one that repeats the report.
CREATE TABLE attempts (
    step_id    INTEGER NOT NULL,
    fence      INTEGER,
    attempt    INTEGER NOT NULL,
    holder     TEXT NOT NULL,
    started_at REAL NOT NULL,
    ended_at   REAL NOT NULL,
    cause      TEXT NOT NULL,
    error      TEXT NOT NULL,
    message    TEXT NOT NULL
) STRICT;
CREATE INDEX attempts_step ON attempts (step_id);

CREATE TABLE dead (
    step_id INTEGER PRIMARY KEY,
    lane    INTEGER NOT NULL,
    cause   TEXT NOT NULL,
    error   TEXT NOT NULL,
    message TEXT NOT NULL,
    died_at REAL NOT NULL
) STRICT;

-- AUTOINCREMENT: a key is a fence too. A pod that wakes up after its row was pruned must be nobody.
CREATE TABLE holders (
    key             INTEGER PRIMARY KEY AUTOINCREMENT,
    holder_id       TEXT NOT NULL UNIQUE,
    type            TEXT NOT NULL,
    name            TEXT NOT NULL,
    address         TEXT NOT NULL,
    pid             INTEGER NOT NULL,
    version         TEXT NOT NULL,
    max_parallelism INTEGER NOT NULL,
    status          TEXT NOT NULL,
    swept           INTEGER NOT NULL DEFAULT 0,
    born_at         REAL NOT NULL,
    beat_at         REAL NOT NULL,
    beats           INTEGER NOT NULL DEFAULT 0,
    running         INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE leadership (term INTEGER NOT NULL, holder INTEGER, since REAL) STRICT;
INSERT INTO leadership VALUES (0, NULL, NULL);

CREATE TABLE events (
    seq    INTEGER PRIMARY KEY,
    at     REAL NOT NULL,
    type   TEXT NOT NULL,
    queue  TEXT,
    holder TEXT,
    term   INTEGER,
    steps  TEXT,
    detail TEXT
) STRICT;

-- next_step: ids are never reused, not even after the newest step is purged.
CREATE TABLE meta (name TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO meta VALUES ('next_step', 1), ('prune_cursor', 0), ('secret', randomblob(32));
