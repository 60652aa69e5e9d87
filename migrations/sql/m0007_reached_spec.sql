-- The spec that the kernel matched before the current one, of devices whose drift is only reported: what differs from
-- both in the same way is drift, and stays.
CREATE TABLE reached_spec (
    device TEXT PRIMARY KEY REFERENCES device (name) ON DELETE CASCADE,
    spec   TEXT NOT NULL CHECK (json_valid(spec))
) STRICT, WITHOUT ROWID;
