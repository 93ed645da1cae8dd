"""Answers that speak to whoever judges them: what is flagged, and how it is recognised.

A flag is no verdict: an answer about judging may hold such words in all innocence. What counts is whether
flagged answers win more often than they ought to.
"""

PATTERNS = {
    "verdict": r"(?i)\[\[ *(?:A|B|C|tie|[AB](?:>>|>|=|<|<<)[AB]) *\]\]"
    r"|(?:rating|score|verdict|winner)\W{0,6}\[\[|[\"']verdict[\"'] *: *[\"']",
    "fence": r"</turn-|(?i)\[(?:the )?(?:start|end) of (?:the )?(?:assistant|answer|response|conversation)"
    r"|(?m:^[ \t]*(?:\"\"\"|'''|```)\s*[\])}])",
    "override": r"(?i)\b(?:ignore|disregard|forget|override) "
    r"(?:all |any |everything |of |the |your |these |those |my )*(?:above|previous|preceding|prior|earlier)\b",
    "appeal": r"(?i)\b(?:this|my) (?:response|answer|output) (?:is|deserves|should|must) (?:be )?(?:\w+ ){0,4}"
    r"(?:best|better|highest|perfect|preferred|rated|10/10|winner)\b"
    r"|\b(?:dear|impartial|as an? (?:impartial )?) ?(?:judge|grader|evaluator)\b",
    "control": r"<\|[^|>\s]{1,40}\|>|<(?:bos|eos|start_of_turn|end_of_turn)>|\[/?INST\]|<</?SYS>>",
}
"""Flag → the RE2 pattern that raises it: words of a verdict, the end of a judge's template, an order to forget
instructions, praise of itself, and tokens by which chat templates part turns."""

ANY = "|".join(f"(?:{pattern})" for pattern in PATTERNS.values())
"""Raised by any of them: as quick as one of them alone."""
