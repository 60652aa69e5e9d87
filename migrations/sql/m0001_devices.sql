-- "taps": marks the file as ours for file(1), and refuses the databases of others.
PRAGMA application_id = 0x74617073;

-- One counter for the whole database; every committed change has the next one.
CREATE TABLE revision (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    current INTEGER NOT NULL CHECK (current >= 0)
) STRICT;
INSERT INTO revision (one, current) VALUES (1, 0);

CREATE TABLE device (
    name                  TEXT PRIMARY KEY CHECK (length(CAST(name AS BLOB)) BETWEEN 1 AND 15),
    uid                   TEXT NOT NULL UNIQUE CHECK (length(uid) = 36),
    labels                TEXT NOT NULL CHECK (json_valid(labels)),
    spec                  TEXT NOT NULL CHECK (json_valid(spec)),
    generation            INTEGER NOT NULL CHECK (generation >= 1),
    -- The revision of the last change, and the ETag.
    revision              INTEGER NOT NULL CHECK (revision >= 1),
    -- Microseconds since 1970, UTC.
    created_at            INTEGER NOT NULL,
    updated_at            INTEGER NOT NULL,
    deletion_requested_at INTEGER,
    -- The newest generation that was read back from the kernel and found equal.
    settled_generation    INTEGER NOT NULL DEFAULT 0 CHECK (settled_generation BETWEEN 0 AND generation),
    CHECK (updated_at >= created_at)
) STRICT, WITHOUT ROWID;

-- The proof that an interface is ours: written before the interface becomes persistent.
CREATE TABLE claim (
    device            TEXT PRIMARY KEY REFERENCES device (name) ON DELETE CASCADE,
    boot_id           TEXT NOT NULL,
    -- SO_NETNS_COOKIE is unsigned; SQLite keeps its 64 bits.
    namespace_cookie  INTEGER NOT NULL,
    ifindex           INTEGER NOT NULL CHECK (ifindex >= 1),
    -- What rtnetlink does not tell back.
    vnet_header_size  INTEGER CHECK (vnet_header_size BETWEEN 10 AND 64),
    offloads          INTEGER NOT NULL CHECK (offloads >= 0),
    UNIQUE (boot_id, namespace_cookie, ifindex)
) STRICT, WITHOUT ROWID;

-- Which consumer a queue belongs to.
CREATE TABLE queue_assignment (
    device      TEXT NOT NULL REFERENCES device (name) ON DELETE CASCADE,
    queue       INTEGER NOT NULL CHECK (queue BETWEEN 0 AND 254),
    consumer    TEXT NOT NULL CHECK (length(consumer) BETWEEN 1 AND 253),
    -- A JSON array of CPU numbers.
    cpus        TEXT NOT NULL DEFAULT '[]' CHECK (json_type(cpus) = 'array'),
    assigned_at INTEGER NOT NULL,
    PRIMARY KEY (device, queue)
) STRICT, WITHOUT ROWID;
CREATE INDEX queue_assignment_by_consumer ON queue_assignment (consumer);

-- What happened. It outlives its device, so it names it without a reference.
CREATE TABLE event (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    at       INTEGER NOT NULL,
    device   TEXT,
    type     TEXT NOT NULL CHECK (type IN ('Normal', 'Warning')),
    reason   TEXT NOT NULL,
    message  TEXT NOT NULL,
    -- Drift: which field, and both values as JSON.
    field    TEXT,
    wanted   TEXT CHECK (wanted IS NULL OR json_valid(wanted)),
    observed TEXT CHECK (observed IS NULL OR json_valid(observed)),
    CHECK ((field IS NULL) = (wanted IS NULL) AND (field IS NULL) = (observed IS NULL))
) STRICT;
CREATE INDEX event_by_device ON event (device, id);
