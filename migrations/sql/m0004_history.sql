-- An event that somebody's request caused says whose, from where, and which revision it made. NULL for what the daemon
-- does by itself.
ALTER TABLE event ADD COLUMN actor TEXT;
ALTER TABLE event ADD COLUMN source TEXT;
ALTER TABLE event ADD COLUMN request TEXT;
ALTER TABLE event ADD COLUMN revision INTEGER CHECK (revision >= 1);

-- The revisions in which the statement of a device changed.
CREATE TABLE change (
    revision INTEGER PRIMARY KEY CHECK (revision >= 1),
    -- Microseconds since 1970, UTC.
    at       INTEGER NOT NULL,
    actor    TEXT NOT NULL,
    source   TEXT NOT NULL,
    request  TEXT NOT NULL,
    -- How many rows of `device_version` are its own.
    devices  INTEGER NOT NULL CHECK (devices >= 1)
) STRICT;

-- What was stated of a device from a revision on. Of each device the newest version before the oldest change is kept too,
-- so that every revision from there on can be told.
CREATE TABLE device_version (
    device   TEXT NOT NULL,
    revision INTEGER NOT NULL CHECK (revision >= 1),
    uid      TEXT NOT NULL,
    -- Both NULL from the revision on in which it was to be deleted.
    labels   TEXT CHECK (labels IS NULL OR json_valid(labels)),
    spec     TEXT CHECK (spec IS NULL OR json_valid(spec)),
    PRIMARY KEY (device, revision),
    CHECK ((labels IS NULL) = (spec IS NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX device_version_by_revision ON device_version (revision);

-- History begins with what is stated now.
INSERT INTO device_version (device, revision, uid, labels, spec)
    SELECT name, (SELECT current FROM revision), uid, labels, spec FROM device WHERE deletion_requested_at IS NULL;
INSERT INTO change (revision, at, actor, source, request, devices)
    SELECT max(revision), CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER), 'tapster', 'migration', '', count(*)
    FROM device_version HAVING count(*) > 0;

-- Answers to POST requests that carried an Idempotency-Key, for who repeats one.
CREATE TABLE idempotency_key (
    actor       TEXT NOT NULL,
    key         TEXT NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
    -- SHA-256 of the method, the target and the body.
    fingerprint BLOB NOT NULL CHECK (length(fingerprint) = 32),
    at          INTEGER NOT NULL,
    status      INTEGER NOT NULL,
    -- A JSON object of header fields.
    headers     TEXT NOT NULL CHECK (json_valid(headers)),
    body        BLOB NOT NULL,
    PRIMARY KEY (actor, key)
) STRICT;
CREATE INDEX idempotency_key_by_age ON idempotency_key (at);

-- What tells a row that the disk has changed (RowDigest.swift); NULL in rows of before.
ALTER TABLE device ADD COLUMN digest INTEGER;
ALTER TABLE claim ADD COLUMN digest INTEGER;
ALTER TABLE queue_assignment ADD COLUMN digest INTEGER;
ALTER TABLE disabled_queue ADD COLUMN digest INTEGER;
