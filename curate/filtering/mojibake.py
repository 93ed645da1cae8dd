"""Marks of text whose bytes were decoded wrongly."""

MOJIBAKE_MARKS = (
    "â€", "Ã¡", "Ã©", "Ã¨", "Ã¤", "Ã¶", "Ã¼", "Ã±", "Ã§", "Ã³", "Ã­", "Ãº", "Ã£", "Ãª", "Ã¢", "Ã®", "Ã´", "ÃŸ", "Ã¥",
    "Ã˜", "Ã‰", "Â°", "Â£", "Â©", "Â®", "Â·", "Â«", "Â»", "Â\u00a0", "ðŸ", "ï¿½", "ï»¿", "Ð°", "Ð¾", "Ñ€", "Ñ‚",
)  # fmt: skip
"""Pairs that UTF-8 read as Latin-1 leaves behind and that no language writes."""

FENCE = "```"
