-- A spec without link.ipv6 is one of an earlier version. It is read as 'kernelDefault', so that an upgrade cuts no
-- connection, and its device says so once.
INSERT INTO event (at, device, type, reason, message)
    SELECT CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER), name, 'Warning', 'IPv6KernelDefault',
        'this device of an earlier version keeps link.ipv6: kernelDefault: unless other settings of the host prevent '
        || 'it, packets of its consumer may give the host routes and IPv6 addresses. Set link.ipv6 to ''stated'' if it '
        || 'needs no link-local address and no router advertisement'
    FROM device WHERE deletion_requested_at IS NULL ORDER BY name;
