"""Feedback: bug reports that people send on purpose, and the survey that knows nobody.

| module | what |
|---|---|
| `parts` | what a report is made of, in the shapes that clients send (pure) |
| `reports` | reports: kept, read, withdrawn, swept |
| `draft` | the draft of a public issue, which can't hold a transcript (pure) |
| `survey` | the survey's counts |
| `suppression` | which small counts are not shown, and which others would give them away (pure) |
| `receiver` | the addresses of the ingest listener |

Rows: F1, F2, F3, F4.
"""
