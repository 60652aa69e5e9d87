-- Queues that somebody has disabled: wanted state, as long as the device has them.
CREATE TABLE disabled_queue (
    device TEXT NOT NULL REFERENCES device (name) ON DELETE CASCADE,
    queue  INTEGER NOT NULL CHECK (queue BETWEEN 0 AND 254),
    PRIMARY KEY (device, queue)
) STRICT, WITHOUT ROWID;

-- What else a device had before a trial: a pruned one takes it along. NULL for none, as in a trial that an earlier
-- version began.
ALTER TABLE apply_device ADD COLUMN assignments TEXT
    CHECK (assignments IS NULL OR json_type(assignments) = 'array');
ALTER TABLE apply_device ADD COLUMN disabled_queues TEXT
    CHECK (disabled_queues IS NULL OR json_type(disabled_queues) = 'array');
