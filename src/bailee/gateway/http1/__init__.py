"""HTTP/1.1 as bytes: heads, and where bodies end.

Pure. Follows RFC 9112 (message syntax) and RFC 9110 section 7.6.1 (hop-by-hop fields).
"""

from bailee.gateway.http1.bodies import Body, ChunkedBody, LengthBody, UntilClose
from bailee.gateway.http1.heads import (
    AnswerHead,
    RequestHead,
    find_head_end,
    parse_answer_head,
    parse_request_head,
    without,
)
from bailee.gateway.http1.syntax import Malformed

__all__ = [
    "AnswerHead",
    "Body",
    "ChunkedBody",
    "LengthBody",
    "Malformed",
    "RequestHead",
    "UntilClose",
    "find_head_end",
    "parse_answer_head",
    "parse_request_head",
    "without",
]
