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
