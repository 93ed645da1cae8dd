SELECT rowid AS row, content
FROM main.messages
WHERE rowid BETWEEN $low AND $high AND rowid IN (SELECT row FROM piece)
