-- Messages of some versions that hold every word ($holds), with the text around the first of them.
SELECT
    CAST(message_id AS VARCHAR) AS id,
    role,
    depth,
    substr(content, greatest(1, place - $before), 440) AS around,
    place > $before + 1 AS is_cut
FROM (
    SELECT message_id, role, depth, content, strpos(lower(content), lower($word0)) AS place
    FROM messages
    WHERE version BETWEEN $first AND $last AND $holds
    LIMIT $most OFFSET $taken
)
