-- What was stated of a device before: from revision `since` on, up to the one before `until`. What is stated now is in
-- `device` alone. Rows stand in the order in which they are written: those of one transaction side by side, on few pages,
-- and those that are forgotten first in front.
CREATE TABLE device_version_new (
    until  INTEGER NOT NULL,
    device TEXT NOT NULL,
    since  INTEGER NOT NULL,
    uid    TEXT NOT NULL,
    -- As they stood in `device`, which takes nothing but JSON.
    labels TEXT NOT NULL,
    spec   TEXT NOT NULL,
    PRIMARY KEY (until, device),
    CHECK (since >= 1 AND since < until)
) STRICT, WITHOUT ROWID;
INSERT INTO device_version_new (until, device, since, uid, labels, spec)
    SELECT until, device, revision, uid, labels, spec
    FROM (SELECT *, lead(revision) OVER (PARTITION BY device ORDER BY revision) AS until FROM device_version)
    WHERE until IS NOT NULL AND spec IS NOT NULL ORDER BY until, device;
DROP TABLE device_version;
ALTER TABLE device_version_new RENAME TO device_version;

-- Whoever changes a device keeps what it was. One that was to be deleted was not stated.
CREATE TRIGGER device_version_kept AFTER UPDATE OF revision ON device
    WHEN old.deletion_requested_at IS NULL AND new.revision > old.revision
BEGIN
    INSERT INTO device_version (until, device, since, uid, labels, spec)
        VALUES (new.revision, old.name, old.revision, old.uid, old.labels, old.spec);
END;

-- Each change knows its place among all that ever were, and how many devices those before it changed, so that what is too
-- much is found from the oldest on, without counting what stays.
CREATE TABLE change_new (
    revision INTEGER PRIMARY KEY CHECK (revision >= 1),
    place    INTEGER NOT NULL CHECK (place >= 1),
    -- Microseconds since 1970, UTC.
    at       INTEGER NOT NULL,
    actor    TEXT NOT NULL,
    source   TEXT NOT NULL,
    request  TEXT NOT NULL,
    -- How many devices it changed, and how many those before it did, forgotten ones too.
    devices  INTEGER NOT NULL CHECK (devices >= 1),
    earlier  INTEGER NOT NULL CHECK (earlier >= 0)
) STRICT;
INSERT INTO change_new (revision, place, at, actor, source, request, devices, earlier)
    SELECT revision, row_number() OVER oldest, at, actor, source, request, devices, sum(devices) OVER oldest - devices
    FROM change WINDOW oldest AS (ORDER BY revision);
DROP TABLE change;
ALTER TABLE change_new RENAME TO change;

-- The newest event is never forgotten, so that its number is the highest there was: to keep that elsewhere too would write
-- one more page with each event.
CREATE TABLE event_new (
    id       INTEGER PRIMARY KEY,
    at       INTEGER NOT NULL,
    device   TEXT,
    type     TEXT NOT NULL CHECK (type IN ('Normal', 'Warning')),
    reason   TEXT NOT NULL,
    message  TEXT NOT NULL,
    -- Drift: which field, and both values as JSON.
    field    TEXT,
    wanted   TEXT CHECK (wanted IS NULL OR json_valid(wanted)),
    observed TEXT CHECK (observed IS NULL OR json_valid(observed)),
    -- Whose request caused it, from where, and which revision it made; NULL for what the daemon does by itself.
    actor    TEXT,
    source   TEXT,
    request  TEXT,
    revision INTEGER CHECK (revision >= 1),
    CHECK ((field IS NULL) = (wanted IS NULL) AND (field IS NULL) = (observed IS NULL))
) STRICT;
INSERT INTO event_new (id, at, device, type, reason, message, field, wanted, observed, actor, source, request, revision)
    SELECT id, at, device, type, reason, message, field, wanted, observed, actor, source, request, revision FROM event;
DROP TABLE event;
ALTER TABLE event_new RENAME TO event;
-- By device within each 256 events, and not within all: so the events of one transaction, which are of many devices, have
-- their places on one page or two. Who looks for a device's events looks into each 256.
CREATE INDEX event_by_device ON event (id >> 8, device);
