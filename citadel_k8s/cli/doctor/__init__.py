"""``doctor``: looks at everything between a node and the page, and says what to mend and how.

Rules are pure functions of what was found (`cluster`, `workloads`, `security`, `pipeline`,
`redisrules`); asking is apart from them (`asking`, `running`).
"""
