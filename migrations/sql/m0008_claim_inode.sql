-- The inode of the interface's directory in sysfs, which no other interface gets before the next boot, even if it gets
-- the same index. Its 64 bits are kept as a signed number; NULL if the daemon could not read it.
ALTER TABLE claim ADD COLUMN inode INTEGER;
