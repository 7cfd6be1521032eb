"""What an error must name, whatever its words are."""

import re


def naming(*facts: object) -> str:
    """Return a pattern for texts that name every one of these, in any order."""
    each = "".join(rf"(?=.*(?<!\w){re.escape(str(fact))}(?!\w))" for fact in facts)
    return f"(?s:{each})"
