"""The terminal coding agent.

How it hangs together. `conversation` (pure) folds records into messages and says what comes next:
call the model, run tools, or wait for the person. `turns.Agent` does that, over four ports
(`ports`): a model (`messages_api`, `clouds`; `answers` reads what comes), tools (`tools`), someone
to ask, and transcripts; and yields `events`. `faults` says what is done about a request that fails,
`progress` when a turn goes in circles. `headless` prints events, `terminal` shows them to a person.
`permissions` and `shell` (pure) decide what may run; `workspace` and `sandbox` say where. `session`
puts it together.

Runs on a person's machine; imports the policy and the client, and nothing of the server.
"""
