SELECT current_sources.name, rejects.record_number, rejects.line, rejects.reason, rejects.excerpt
FROM rejects
LEFT JOIN current_sources
    ON current_sources.source_id = rejects.source_id
ORDER BY rejects.version DESC, current_sources.name, rejects.record_number
LIMIT $most
