-- Rows of a large catalog in PostgreSQL, made by the server: 5,000 instruments, each with datasets of all timeframes.
-- `:n` is the number of datasets, and of fetches; a tenth of it is the number of series, of schedules and of audit
-- entries. The values repeat with different periods, so that filters find many rows, some rows, or few rows.

CREATE TEMPORARY TABLE instruments AS
SELECT
    s AS number,
    (ARRAY[
        'NASDAQ', 'NYSE', 'AMEX', 'LSE', 'XETR', 'EURONEXT', 'TSE', 'HKEX', 'ASX', 'BSE',
        'NSE', 'TSX', 'SIX', 'BME', 'MIL', 'CME_MINI', 'CBOT', 'OANDA', 'BINANCE', 'COINBASE'
    ])[1 + (s * 31 + s / 20) % 20] AS exchange,
    -- Four letters, unlike those of every other number.
    chr(65 + s * 104729 % 26) || chr(65 + s * 104729 / 26 % 26) || chr(65 + s * 104729 / 676 % 26)
    || chr(65 + s * 104729 / 17576 % 26) AS symbol,
    words.list[1 + s % 30] || ' ' || words.list[1 + s * 7 / 30 % 30] || ' ' || words.list[1 + s * 11 / 900 % 30]
    || ' ' || s || CASE s % 3 WHEN 0 THEN ' Inc.' ELSE ' plc' END AS description
FROM
    generate_series(0, 4999) AS s,
    (SELECT ARRAY[
        'Global', 'United', 'Northern', 'Pacific', 'Advanced', 'General', 'National', 'Royal', 'First', 'Modern',
        'Energy', 'Steel', 'Health', 'Software', 'Motors', 'Foods', 'Mining', 'Capital', 'Insurance', 'Water',
        'Aviation', 'Chemicals', 'Textile', 'Networks', 'Robotics', 'Optics', 'Logistics', 'Media', 'Paper', 'Marine'
    ] AS list) AS words;

CREATE TEMPORARY TABLE keys AS
SELECT
    d,
    'tradingview' AS source, exchange, symbol,
    (ARRAY['1', '3', '5', '15', '30', '45', '1h', '2h', '3h', '4h', '1D', '1W', '1M'])[1 + d / 5000 % 13] AS timeframe,
    CASE WHEN d % 1000 = 1 THEN 'extended' ELSE 'regular' END AS session,
    'splits' AS adjustment,
    -- The series of one key have up to 16 datasets.
    (ARRAY[5000, 10000, 20000, 1000, 500, 300, 2000, 3000, 4000, 6000, 7000, 8000, 9000, 12000, 15000, 18000])[1 + d / 65000] AS n_bars,
    jsonb_build_object(
        'pro_name', exchange || ':' || symbol, 'full_name', exchange || ':' || symbol, 'description', description,
        'type', 'stock', 'currency', 'USD', 'timezone', 'America/New_York', 'exchange', exchange, 'pricescale', 100,
        'minmov', 1, 'session_hours', '0930-1600', 'session_display', '0930-1600', 'session_holidays', '20250101,20250704,20251225'
    ) AS instrument,
    timestamptz '2020-01-01' + d % 900 * interval '1 day' AS first_time,
    timestamptz '2026-11-01' + d::bigint * 7 % 35000 * interval '1 minute' AS last_time,
    timestamptz '2026-11-26' - d::bigint * 48271 % 1000003 * interval '3 seconds' AS at
FROM generate_series(0, :n - 1) AS d JOIN instruments ON number = d % 5000;

INSERT INTO datasets_series (
    source, exchange, symbol, timeframe, session, adjustment, sequence, n_rows, bytes, first_time, last_time,
    last_bar_final, fetched_at, generation, n_holes, is_awaiting, instrument
)
SELECT
    source, exchange, symbol, timeframe, session, adjustment, 1 + d % 9, 5000 + d % 40000, 90000 + d, first_time, last_time,
    true, at, 1 + d % 2, d % 3, d % 500 = 1, instrument
FROM keys WHERE d < greatest(:n / 10, 1000) ON CONFLICT DO NOTHING;

INSERT INTO datasets_dataset (
    series_id, source, exchange, symbol, timeframe, session, adjustment, n_bars, state, path, bytes, version,
    content_hash, n_rows, first_time, last_time, last_bar_final, fetched_at, instrument, is_limited, n_duplicates,
    n_inconsistent, zero_volume_share, largest_gap_s, doubts, coverage, is_pinned, tvdatafeed_version, hits
)
SELECT
    s.id, k.source, k.exchange, k.symbol, k.timeframe, k.session, k.adjustment, k.n_bars,
    CASE WHEN d % 1000 = 3 THEN 'corrupt' WHEN d % 100 = 7 THEN 'missing' WHEN d % 20 = 9 THEN 'invalidated' ELSE 'ready' END,
    'tradingview/' || k.exchange || '_' || k.symbol || '_' || k.timeframe || '_' || k.n_bars || '_' || k.session || '.parquet',
    20000 + d::bigint * 7919 % 90000, (20000 + d::bigint * 7919 % 90000) || '-' || (1700000000000000000 + d), md5(d::text) || md5('b' || d), 1 + d::bigint * 104729 % 5000,
    k.first_time, k.last_time, d % 3 > 0, at, k.instrument, d % 5 = 0, CASE WHEN d % 50 = 0 THEN 2 ELSE 0 END,
    CASE WHEN d % 70 = 0 THEN 1 ELSE 0 END, 0.01, 259200,
    CASE WHEN d % 40 = 0 THEN '{"price_jump": 3}'::jsonb ELSE '{}'::jsonb END,
    jsonb_build_object(
        'expected', 5000, 'held', 4990, 'missing', d % 4, 'share_held', 0.99,
        'counts', CASE WHEN d % 2000 = 5 THEN '{"hole": 1}'::jsonb WHEN d % 4 = 0 THEN '{}'::jsonb ELSE '{"session_missing": 2}'::jsonb END
    ),
    d % 5000 = 11, '2.1.0', d::bigint * 31 % 97
FROM keys AS k LEFT JOIN datasets_series AS s USING (source, exchange, symbol, timeframe, session, adjustment);

INSERT INTO datasets_fetch (
    source, exchange, symbol, timeframe, session, adjustment, n_bars, state, dataset_id, error_code, error_message,
    retryable, attempts, n_rows, waited_ms, fetched_ms, stored_ms, requested_by, requested_via, requested_at, priority,
    turn, failures, started_at, finished_at, owner, request_id
)
SELECT
    k.source, k.exchange, k.symbol, k.timeframe, k.session, k.adjustment, k.n_bars,
    CASE WHEN d % 50 = 3 THEN 'failed' WHEN d % 200 = 4 THEN 'cancelled' WHEN d % 2000 = 6 THEN 'queued' ELSE 'succeeded' END,
    CASE WHEN d % 50 = 3 THEN NULL ELSE t.id END, CASE WHEN d % 50 = 3 THEN 'symbol_not_found' ELSE '' END, '', false, 1, 5000, 10, 900, 20,
    'user' || d % 40, CASE WHEN d % 3 = 0 THEN 'api' WHEN d % 100 = 1 THEN 'page' ELSE 'schedule' END,
    at, d % 4, d % 1000, 0, at, CASE WHEN d % 2000 = 6 THEN NULL ELSE at + interval '2 seconds' END, '', ''
FROM keys AS k JOIN datasets_dataset AS t USING (source, exchange, symbol, timeframe, session, adjustment, n_bars);

INSERT INTO datasets_revision (
    series_id, number, finding, state, generation, found_at, n_bars, factor, "offset", is_split, largest_change, decided_by
)
SELECT
    id, 1 + g, CASE WHEN id % 7 = 0 THEN 'ratio' ELSE 'volume' END, CASE WHEN g > 2 OR id % 97 = 0 THEN 'open' ELSE 'accepted' END, 1,
    fetched_at - g * interval '1 day', 5, 1, 0, false, 0.01, ''
FROM datasets_series, generate_series(0, 1) AS g
UNION ALL
-- One series with a long list.
SELECT (SELECT min(id) FROM datasets_series), 10 + g, 'volume', 'accepted', 1, now() - g * interval '1 hour', 1, 1, 0, false, 0, ''
FROM generate_series(1, greatest(:n / 100, 100)) AS g;

INSERT INTO datasets_schedule (
    series_id, source, exchange, symbol, timeframe, session, adjustment, n_bars, settle_s, due_at, is_paused, pause_reason,
    failures, last_ok_at, last_error, backfilled_at
)
SELECT
    id, source, exchange, symbol, timeframe, session, adjustment, 5000, 5, now() + id % 5000 * interval '1 minute', id % 100 = 0, '', 0,
    fetched_at, '', fetched_at
FROM datasets_series WHERE session = 'regular';

-- Fifty lists of 100 symbols each, and one list of all symbols.
INSERT INTO datasets_watchlist (name, owner, timeframes, session, adjustment, first_bars, settle_s, is_paused, created_at)
SELECT 'list ' || w, '', CASE w WHEN 0 THEN '["1", "1h", "1D"]'::jsonb ELSE '["1D"]'::jsonb END, 'regular', 'splits', 5000, 5, false, now()
FROM generate_series(0, 50) AS w;

INSERT INTO datasets_watchedsymbol (watchlist_id, exchange, symbol, section, position, problem)
SELECT w.id, exchange, symbol, '', number, ''
FROM datasets_watchlist AS w JOIN instruments ON w.name = 'list 0' OR w.name = 'list ' || 1 + number / 100;

INSERT INTO datasets_incident (kind, source, topic, subject, schedule_id, opened_at, closed_at, failures, error_code, error_message)
SELECT
    'series_failing', source, 'series ' || id, exchange || ':' || symbol || ' ' || timeframe, id, now() - id * interval '1 minute',
    CASE WHEN id % 500 = 0 THEN NULL ELSE now() END, 4, 'symbol_not_found', ''
FROM datasets_schedule WHERE id % 5 = 0;

INSERT INTO datasets_auditentry (at, actor, via, action, kind, subject, subject_id, detail)
SELECT
    at, 'user' || d % 40, CASE WHEN d % 2 = 0 THEN 'admin' ELSE 'page' END,
    CASE WHEN d % 3 = 0 THEN 'verified' WHEN d % 1000 = 1 THEN 'deleted' ELSE 'invalidated' END, 'dataset',
    exchange || ':' || symbol || ' ' || timeframe || ' ' || n_bars, d, ''
FROM keys WHERE d < greatest(:n / 3, 1000);

DROP TABLE keys, instruments;
ANALYZE;
