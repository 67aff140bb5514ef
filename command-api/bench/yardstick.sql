-- One command as one transaction, for pgbench -M prepared: the tenant, then the same three inserts as a command of the benchmark.
-- (A colon before a letter or digit would be a variable to pgbench, inside quotes too.)
-- The position comes from a sequence: no lock, and so no order of commits, which is less than the event store promises.
-- Partitions that the store does not use, so that the log stays whole.
\set partition random(100, 115)
begin;
select set_config('portolan.tenant', 'bench', true);
insert into idempotency_keys (tenant_id, principal, method, path, key, body_hash, reference) values ('bench', 'member-bench', 'POST', '/api/v1/counters', gen_random_uuid()::text, 'RBNvo1WzZ4oRRq0W9-hknpT7T8If536DEMBg9hyq_4o', 'counter');
insert into streams (tenant_id, stream, version, topic, partition) values ('bench', 'counter-' || gen_random_uuid(), 1, 'bookings.events.v1', :partition);
insert into events (topic, partition, position, event_id, tenant_id, stream, stream_version, type, schema_version, data, metadata, recorded_at) values ('bookings.events.v1', :partition, nextval('yardstick'), gen_random_uuid(), 'bench', 'counter-' || gen_random_uuid(), 1, 'Added', 1, '{"amount": 1, "note": "@note@"}', '{"correlationId": "bench-0000", "causationId": null, "actor": {"kind": "service", "id": "bench"}}', clock_timestamp());
commit;
