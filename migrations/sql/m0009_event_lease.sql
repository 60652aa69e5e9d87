-- The lease that an event is about, as it was then, and why it ended; NULL for other events.
ALTER TABLE event ADD COLUMN lease TEXT CHECK (lease IS NULL OR json_valid(lease));
