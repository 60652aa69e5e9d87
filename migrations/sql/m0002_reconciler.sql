-- The newest generation for which somebody allowed the device to be made anew.
ALTER TABLE device ADD COLUMN recreate_generation INTEGER NOT NULL DEFAULT 0 CHECK (recreate_generation >= 0);

-- Claims say where the namespace was found, and may not know the offloads of a device that was taken over.
CREATE TABLE claim_new (
    device            TEXT PRIMARY KEY REFERENCES device (name) ON DELETE CASCADE,
    boot_id           TEXT NOT NULL,
    -- SO_NETNS_COOKIE is unsigned; SQLite keeps its 64 bits.
    namespace_cookie  INTEGER NOT NULL,
    -- A name or a path; NULL is the daemon's own.
    namespace         TEXT,
    ifindex           INTEGER NOT NULL CHECK (ifindex >= 1),
    -- What rtnetlink does not tell back.
    vnet_header_size  INTEGER CHECK (vnet_header_size BETWEEN 10 AND 64),
    offloads          INTEGER CHECK (offloads >= 0),
    -- Whether the interface was seen to be gone.
    is_lost           INTEGER NOT NULL DEFAULT 0 CHECK (is_lost IN (0, 1))
) STRICT, WITHOUT ROWID;
INSERT INTO claim_new (device, boot_id, namespace_cookie, ifindex, vnet_header_size, offloads)
    SELECT device, boot_id, namespace_cookie, ifindex, vnet_header_size, offloads FROM claim;
DROP TABLE claim;
ALTER TABLE claim_new RENAME TO claim;
-- One interface belongs to one device.
CREATE UNIQUE INDEX claim_place ON claim (boot_id, namespace_cookie, ifindex) WHERE is_lost = 0;

-- Many devices changed at once, on trial: unless somebody confirms in time, all is as it was before.
CREATE TABLE apply (
    revision   INTEGER PRIMARY KEY CHECK (revision >= 1),
    -- Microseconds since 1970, UTC.
    confirm_by INTEGER NOT NULL,
    state      TEXT NOT NULL CHECK (state IN ('pending', 'confirmed', 'rolledBack'))
) STRICT;
-- There is at most one trial at a time: what another one would go back to could not be told.
CREATE UNIQUE INDEX apply_pending ON apply (state) WHERE state = 'pending';

-- What a device was before a trial.
CREATE TABLE apply_device (
    revision            INTEGER NOT NULL REFERENCES apply (revision) ON DELETE CASCADE,
    device              TEXT NOT NULL,
    uid                 TEXT NOT NULL,
    -- Whether the trial deletes it.
    pruned              INTEGER NOT NULL CHECK (pruned IN (0, 1)),
    -- All NULL for a device that did not exist.
    labels              TEXT CHECK (labels IS NULL OR json_valid(labels)),
    spec                TEXT CHECK (spec IS NULL OR json_valid(spec)),
    created_at          INTEGER,
    PRIMARY KEY (revision, device),
    CHECK ((labels IS NULL) = (spec IS NULL) AND (spec IS NULL) = (created_at IS NULL))
) STRICT, WITHOUT ROWID;
