-- A request, and the nearest one stored before it: one about the same answer if there is any, then the one that
-- differs in the fewest fields (a message is a field).
WITH kin AS (
    SELECT CAST(others.request_key AS VARCHAR) AS request_key
    FROM ratings AS asked
    JOIN ratings AS others
        ON others.response_id = asked.response_id
    WHERE asked.request_key = CAST($key AS UUID)
    UNION
    SELECT CAST(others.request_key AS VARCHAR)
    FROM comparisons AS asked
    JOIN comparisons AS others
        ON least(others.response_a_id, others.response_b_id) = least(asked.response_a_id, asked.response_b_id)
        AND greatest(others.response_a_id, others.response_b_id)
            = greatest(asked.response_a_id, asked.response_b_id)
    WHERE asked.request_key = CAST($key AS UUID)
),
every AS (
    SELECT
        CAST(request_key AS VARCHAR) AS request_key,
        any_value(key_version) AS key_version,
        any_value(provider) AS provider,
        any_value(base_url) AS base_url,
        any_value(model) AS model,
        any_value(api_version) AS api_version,
        any_value(messages) AS messages,
        any_value(response_schema) AS response_schema,
        any_value(sampling) AS sampling,
        any_value(sample_index) AS sample_index,
        any_value(repair_index) AS repair_index,
        min(created_at) AS first_at,
        arg_min(run_id, created_at) AS run_id
    FROM requests
    GROUP BY requests.request_key
),
asked AS (
    SELECT *
    FROM every
    WHERE request_key = $key
),
others AS (
    SELECT
        every.*,
        CAST(every.key_version <> asked.key_version AS INTEGER)
        + CAST(every.provider <> asked.provider AS INTEGER)
        + CAST(every.base_url <> asked.base_url AS INTEGER)
        + CAST(every.model <> asked.model AS INTEGER)
        + CAST(every.api_version <> asked.api_version AS INTEGER)
        + CAST(every.response_schema IS DISTINCT FROM asked.response_schema AS INTEGER)
        + CAST(every.sampling <> asked.sampling AS INTEGER)
        + CAST(every.sample_index <> asked.sample_index AS INTEGER)
        + CAST(every.repair_index <> asked.repair_index AS INTEGER)
        + greatest(len(every.messages), len(asked.messages))
        - len(list_intersect(every.messages, asked.messages)) AS distance
    FROM every
    JOIN asked
        ON every.request_key <> asked.request_key
        AND (every.first_at, every.request_key) < (asked.first_at, asked.request_key)
)
(
    SELECT *, 0 AS distance
    FROM asked
)
UNION ALL
(
    SELECT *
    FROM others
    ORDER BY
        request_key NOT IN (SELECT request_key FROM kin WHERE request_key IS NOT NULL),
        distance,
        first_at DESC,
        request_key
    LIMIT 1
)
