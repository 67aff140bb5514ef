-- One reservation as one transaction, for pgbench -M prepared: the tenant, then the same inserts as command-api makes of it, with rows of the
-- same size. (A colon before a letter or digit would be a variable to pgbench, inside quotes too.)
-- Nothing is decided and nothing refused: a night that is taken is taken again.
-- Partitions that the store does not use, so that the log stays whole.
\set partition random(0, 15)
\set property random(1, @properties@)
\set day random(0, 27)
begin;
select set_config('portolan.tenant', 'yardstick', true);
insert into idempotency_keys (tenant_id, principal, method, path, key, body_hash, reference) values ('yardstick', 'guest-RBNvo1WzZ4oRRq0W9-hknpT7T8If536DEMBg9hyq_4o', 'POST', '/api/v1/reservations', gen_random_uuid()::text, 'RBNvo1WzZ4oRRq0W9-hknpT7T8If536DEMBg9hyq_4o', gen_random_uuid()::text);
insert into streams (tenant_id, stream, version, topic, partition) values ('yardstick', 'reservation-' || gen_random_uuid(), 1, 'stays.events.v1', 100 + :partition);
insert into stay_months as n (tenant_id, property_id, month, taken) values ('yardstick', 'property-' || :property, 24360, 1 << :day) on conflict on constraint stay_months_pkey do update set taken = n.taken | excluded.taken;
with head as (@head@)
insert into events (topic, partition, position, event_id, tenant_id, stream, stream_version, type, schema_version, data, metadata, recorded_at) select 'stays.events.v1', 100 + :partition, head.position, gen_random_uuid(), 'yardstick', 'reservation-' || gen_random_uuid(), 1, 'StayReserved', 1, '{"at": "2030-01-01T00-00-00.000Z", "holder": "RBNvo1WzZ4oRRq0W9-hknpT7T8If536DEMBg9hyq_4o", "nights": 1, "startDate": "2030-01-01", "propertyId": "property-1000", "reservationId": "01900000-0000-7000-8000-000000000000"}', '{"actor": {"id": "RBNvo1WzZ4oRRq0W9-hknpT7T8If536DEMBg9hyq_4o", "kind": "member"}, "causationId": null, "correlationId": "01900000-0000-4000-8000-000000000000"}', clock_timestamp() from head;
commit;
