-- Versions stand in the order in which they are written: those of one transaction side by side, on few pages.
CREATE TABLE device_version_new (
    revision INTEGER NOT NULL CHECK (revision >= 1),
    device   TEXT NOT NULL,
    uid      TEXT NOT NULL,
    -- Both NULL from the revision on in which it was to be deleted.
    labels   TEXT CHECK (labels IS NULL OR json_valid(labels)),
    spec     TEXT CHECK (spec IS NULL OR json_valid(spec)),
    PRIMARY KEY (revision, device),
    CHECK ((labels IS NULL) = (spec IS NULL))
) STRICT, WITHOUT ROWID;
INSERT INTO device_version_new (revision, device, uid, labels, spec)
    SELECT revision, device, uid, labels, spec FROM device_version ORDER BY revision, device;
DROP TABLE device_version;
ALTER TABLE device_version_new RENAME TO device_version;
CREATE INDEX device_version_by_device ON device_version (device, revision);

-- Each change knows its place among all that ever were, and how many versions there were before it, so that what is too
-- much is found from the oldest on, without counting what stays.
CREATE TABLE change_new (
    revision INTEGER PRIMARY KEY CHECK (revision >= 1),
    place    INTEGER NOT NULL CHECK (place >= 1),
    -- Microseconds since 1970, UTC.
    at       INTEGER NOT NULL,
    actor    TEXT NOT NULL,
    source   TEXT NOT NULL,
    request  TEXT NOT NULL,
    -- How many rows of `device_version` are its own, and how many those before it had, forgotten ones too.
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
CREATE INDEX event_by_device ON event (device, id);
