--
-- PostgreSQL database dump
--

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

--
-- Name: effects; Type: SCHEMA; Schema: -; Owner: -
--

CREATE SCHEMA effects;

--
-- Name: extend_events(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.extend_events() RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
  declare
    range_size constant bigint := 1000000;
    wanted bigint := (select coalesce(max(position), 0) / range_size + 2 from log_heads);
    created integer := 0;
    name text;
  begin
    perform pg_advisory_xact_lock(hashtext('extend_events'));
    for i in 0..wanted loop
      name := 'events_' || lpad(i::text, 6, '0');
      continue when to_regclass(name) is not null;
      execute format('create table %I (like events including defaults including constraints)', name);
      execute format('alter table events attach partition %I for values from (%s) to (%s)', name, i * range_size, (i + 1) * range_size);
      created := created + 1;
    end loop;
    return created;
  end $$;

--
-- Name: log_incarnation(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.log_incarnation() RETURNS text
    LANGUAGE sql STABLE
    AS $$
    select concat_ws('/', extract(epoch from pg_postmaster_start_time()), d.oid, 'public.events'::regclass::oid)
    from pg_database d
    where d.datname = current_database()
  $$;

--
-- Name: register_topics(text[], integer); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.register_topics(names text[], wanted_partitions integer) RETURNS void
    LANGUAGE sql
    AS $$
    insert into log_topics (topic, partitions) select name, wanted_partitions from unnest(names) name on conflict do nothing;
    insert into log_heads (topic, partition)
    select t.topic, p from log_topics t, generate_series(0, t.partitions - 1) p on conflict do nothing;
  $$;

SET default_tablespace = '';

--
-- Name: events; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.events (
    topic text NOT NULL,
    partition integer NOT NULL,
    "position" bigint NOT NULL,
    event_id uuid NOT NULL,
    tenant_id text NOT NULL,
    stream text NOT NULL,
    stream_version bigint NOT NULL,
    type text NOT NULL,
    schema_version integer NOT NULL,
    data jsonb NOT NULL,
    metadata jsonb NOT NULL,
    recorded_at timestamp with time zone NOT NULL,
    CONSTRAINT events_data_size CHECK ((pg_column_size(data) <= 262144))
)
PARTITION BY RANGE ("position");

SET default_table_access_method = heap;

--
-- Name: events_000000; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.events_000000 (
    topic text NOT NULL,
    partition integer NOT NULL,
    "position" bigint NOT NULL,
    event_id uuid NOT NULL,
    tenant_id text NOT NULL,
    stream text NOT NULL,
    stream_version bigint NOT NULL,
    type text NOT NULL,
    schema_version integer NOT NULL,
    data jsonb NOT NULL,
    metadata jsonb NOT NULL,
    recorded_at timestamp with time zone NOT NULL,
    CONSTRAINT events_data_size CHECK ((pg_column_size(data) <= 262144))
);

--
-- Name: events_000001; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.events_000001 (
    topic text NOT NULL,
    partition integer NOT NULL,
    "position" bigint NOT NULL,
    event_id uuid NOT NULL,
    tenant_id text NOT NULL,
    stream text NOT NULL,
    stream_version bigint NOT NULL,
    type text NOT NULL,
    schema_version integer NOT NULL,
    data jsonb NOT NULL,
    metadata jsonb NOT NULL,
    recorded_at timestamp with time zone NOT NULL,
    CONSTRAINT events_data_size CHECK ((pg_column_size(data) <= 262144))
);

--
-- Name: events_000002; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.events_000002 (
    topic text NOT NULL,
    partition integer NOT NULL,
    "position" bigint NOT NULL,
    event_id uuid NOT NULL,
    tenant_id text NOT NULL,
    stream text NOT NULL,
    stream_version bigint NOT NULL,
    type text NOT NULL,
    schema_version integer NOT NULL,
    data jsonb NOT NULL,
    metadata jsonb NOT NULL,
    recorded_at timestamp with time zone NOT NULL,
    CONSTRAINT events_data_size CHECK ((pg_column_size(data) <= 262144))
);

--
-- Name: idempotency_keys; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.idempotency_keys (
    tenant_id text NOT NULL,
    principal text NOT NULL,
    method text NOT NULL,
    path text NOT NULL,
    key text NOT NULL,
    body_hash text NOT NULL,
    reference text,
    rejection jsonb,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

--
-- Name: log_heads; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.log_heads (
    topic text NOT NULL,
    partition integer NOT NULL,
    "position" bigint DEFAULT 0 NOT NULL
)
WITH (fillfactor='10');

--
-- Name: log_state; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.log_state (
    only_row boolean DEFAULT true NOT NULL,
    generation integer DEFAULT 1 NOT NULL,
    CONSTRAINT log_state_only_row CHECK (only_row)
);

--
-- Name: log_topics; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.log_topics (
    topic text NOT NULL,
    partitions integer NOT NULL,
    CONSTRAINT log_topics_partitions CHECK (((partitions >= 1) AND (partitions <= 1024)))
);

--
-- Name: log_verifications; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.log_verifications (
    topic text NOT NULL,
    partition integer NOT NULL,
    incarnation text NOT NULL,
    verified_at timestamp with time zone DEFAULT now() NOT NULL
);

--
-- Name: open_steps; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.open_steps (
    tenant_id text NOT NULL,
    stream text NOT NULL,
    step text NOT NULL,
    attempt integer NOT NULL,
    due_at timestamp with time zone NOT NULL,
    deadline timestamp with time zone NOT NULL,
    input jsonb NOT NULL,
    correlation_id text NOT NULL,
    causation_id text NOT NULL,
    mock_error text,
    traceparent text,
    claimed_until timestamp with time zone
);

--
-- Name: parked_events; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.parked_events (
    consumer text NOT NULL,
    tenant_id text NOT NULL,
    stream text NOT NULL,
    stream_version bigint NOT NULL,
    envelope jsonb NOT NULL,
    reason text,
    parked_at timestamp with time zone DEFAULT now() NOT NULL
);

--
-- Name: streams; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.streams (
    tenant_id text NOT NULL,
    stream text NOT NULL,
    version bigint NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL
)
WITH (fillfactor='90');

--
-- Name: events_000000; Type: TABLE ATTACH; Schema: public; Owner: -
--

ALTER TABLE ONLY public.events ATTACH PARTITION public.events_000000 FOR VALUES FROM ('0') TO ('1000000');

--
-- Name: events_000001; Type: TABLE ATTACH; Schema: public; Owner: -
--

ALTER TABLE ONLY public.events ATTACH PARTITION public.events_000001 FOR VALUES FROM ('1000000') TO ('2000000');

--
-- Name: events_000002; Type: TABLE ATTACH; Schema: public; Owner: -
--

ALTER TABLE ONLY public.events ATTACH PARTITION public.events_000002 FOR VALUES FROM ('2000000') TO ('3000000');

--
-- Name: events events_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.events
    ADD CONSTRAINT events_pkey PRIMARY KEY (topic, partition, "position");

--
-- Name: events_000000 events_000000_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.events_000000
    ADD CONSTRAINT events_000000_pkey PRIMARY KEY (topic, partition, "position");

--
-- Name: events_000001 events_000001_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.events_000001
    ADD CONSTRAINT events_000001_pkey PRIMARY KEY (topic, partition, "position");

--
-- Name: events_000002 events_000002_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.events_000002
    ADD CONSTRAINT events_000002_pkey PRIMARY KEY (topic, partition, "position");

--
-- Name: idempotency_keys idempotency_keys_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.idempotency_keys
    ADD CONSTRAINT idempotency_keys_pkey PRIMARY KEY (tenant_id, principal, method, path, key);

--
-- Name: log_heads log_heads_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.log_heads
    ADD CONSTRAINT log_heads_pkey PRIMARY KEY (topic, partition);

--
-- Name: log_state log_state_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.log_state
    ADD CONSTRAINT log_state_pkey PRIMARY KEY (only_row);

--
-- Name: log_topics log_topics_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.log_topics
    ADD CONSTRAINT log_topics_pkey PRIMARY KEY (topic);

--
-- Name: log_verifications log_verifications_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.log_verifications
    ADD CONSTRAINT log_verifications_pkey PRIMARY KEY (topic, partition);

--
-- Name: open_steps open_steps_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.open_steps
    ADD CONSTRAINT open_steps_pkey PRIMARY KEY (tenant_id, stream, step);

--
-- Name: parked_events parked_events_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.parked_events
    ADD CONSTRAINT parked_events_pkey PRIMARY KEY (consumer, tenant_id, stream, stream_version);

--
-- Name: streams streams_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.streams
    ADD CONSTRAINT streams_pkey PRIMARY KEY (tenant_id, stream);

--
-- Name: events_by_stream; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX events_by_stream ON ONLY public.events USING btree (tenant_id, stream, stream_version);

--
-- Name: events_000000_tenant_id_stream_stream_version_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX events_000000_tenant_id_stream_stream_version_idx ON public.events_000000 USING btree (tenant_id, stream, stream_version);

--
-- Name: events_000001_tenant_id_stream_stream_version_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX events_000001_tenant_id_stream_stream_version_idx ON public.events_000001 USING btree (tenant_id, stream, stream_version);

--
-- Name: events_000002_tenant_id_stream_stream_version_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX events_000002_tenant_id_stream_stream_version_idx ON public.events_000002 USING btree (tenant_id, stream, stream_version);

--
-- Name: idempotency_keys_age; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX idempotency_keys_age ON public.idempotency_keys USING btree (created_at);

--
-- Name: open_steps_due; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX open_steps_due ON public.open_steps USING btree (due_at) WHERE (claimed_until IS NULL);

--
-- Name: events_000000_pkey; Type: INDEX ATTACH; Schema: public; Owner: -
--

ALTER INDEX public.events_pkey ATTACH PARTITION public.events_000000_pkey;

--
-- Name: events_000000_tenant_id_stream_stream_version_idx; Type: INDEX ATTACH; Schema: public; Owner: -
--

ALTER INDEX public.events_by_stream ATTACH PARTITION public.events_000000_tenant_id_stream_stream_version_idx;

--
-- Name: events_000001_pkey; Type: INDEX ATTACH; Schema: public; Owner: -
--

ALTER INDEX public.events_pkey ATTACH PARTITION public.events_000001_pkey;

--
-- Name: events_000001_tenant_id_stream_stream_version_idx; Type: INDEX ATTACH; Schema: public; Owner: -
--

ALTER INDEX public.events_by_stream ATTACH PARTITION public.events_000001_tenant_id_stream_stream_version_idx;

--
-- Name: events_000002_pkey; Type: INDEX ATTACH; Schema: public; Owner: -
--

ALTER INDEX public.events_pkey ATTACH PARTITION public.events_000002_pkey;

--
-- Name: events_000002_tenant_id_stream_stream_version_idx; Type: INDEX ATTACH; Schema: public; Owner: -
--

ALTER INDEX public.events_by_stream ATTACH PARTITION public.events_000002_tenant_id_stream_stream_version_idx;

--
-- Name: log_heads log_heads_topic; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.log_heads
    ADD CONSTRAINT log_heads_topic FOREIGN KEY (topic) REFERENCES public.log_topics(topic);

--
-- Name: events; Type: ROW SECURITY; Schema: public; Owner: -
--

ALTER TABLE public.events ENABLE ROW LEVEL SECURITY;

--
-- Name: idempotency_keys; Type: ROW SECURITY; Schema: public; Owner: -
--

ALTER TABLE public.idempotency_keys ENABLE ROW LEVEL SECURITY;

--
-- Name: open_steps; Type: ROW SECURITY; Schema: public; Owner: -
--

ALTER TABLE public.open_steps ENABLE ROW LEVEL SECURITY;

--
-- Name: streams; Type: ROW SECURITY; Schema: public; Owner: -
--

ALTER TABLE public.streams ENABLE ROW LEVEL SECURITY;

--
-- Name: events tenant; Type: POLICY; Schema: public; Owner: -
--

CREATE POLICY tenant ON public.events TO portolan_command_api USING ((tenant_id = current_setting('portolan.tenant'::text, true)));

--
-- Name: idempotency_keys tenant; Type: POLICY; Schema: public; Owner: -
--

CREATE POLICY tenant ON public.idempotency_keys TO portolan_command_api USING ((tenant_id = current_setting('portolan.tenant'::text, true)));

--
-- Name: open_steps tenant; Type: POLICY; Schema: public; Owner: -
--

CREATE POLICY tenant ON public.open_steps TO portolan_command_api USING ((tenant_id = current_setting('portolan.tenant'::text, true)));

--
-- Name: streams tenant; Type: POLICY; Schema: public; Owner: -
--

CREATE POLICY tenant ON public.streams TO portolan_command_api USING ((tenant_id = current_setting('portolan.tenant'::text, true)));

--
-- Name: SCHEMA effects; Type: ACL; Schema: -; Owner: -
--

GRANT USAGE ON SCHEMA effects TO portolan_command_api;

--
-- Name: FUNCTION extend_events(); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.extend_events() FROM PUBLIC;
GRANT ALL ON FUNCTION public.extend_events() TO portolan_command_api;

--
-- Name: FUNCTION log_incarnation(); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.log_incarnation() FROM PUBLIC;
GRANT ALL ON FUNCTION public.log_incarnation() TO portolan_command_api;

--
-- Name: FUNCTION register_topics(names text[], wanted_partitions integer); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.register_topics(names text[], wanted_partitions integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.register_topics(names text[], wanted_partitions integer) TO portolan_command_api;

--
-- Name: TABLE events; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT ON TABLE public.events TO portolan_command_api;

--
-- Name: TABLE idempotency_keys; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT,INSERT ON TABLE public.idempotency_keys TO portolan_command_api;

--
-- Name: TABLE log_heads; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT,INSERT ON TABLE public.log_heads TO portolan_command_api;

--
-- Name: TABLE log_state; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT ON TABLE public.log_state TO portolan_command_api;

--
-- Name: TABLE log_topics; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT,INSERT ON TABLE public.log_topics TO portolan_command_api;

--
-- Name: TABLE log_verifications; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT,INSERT,UPDATE ON TABLE public.log_verifications TO portolan_command_api;

--
-- Name: TABLE open_steps; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT ON TABLE public.open_steps TO portolan_command_api;

--
-- Name: TABLE parked_events; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.parked_events TO portolan_command_api;

--
-- Name: TABLE streams; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT,INSERT,UPDATE ON TABLE public.streams TO portolan_command_api;

--
-- PostgreSQL database dump complete
--
