"""The terminal coding agent.

How it hangs together. `conversation` (pure) folds records into messages and says what comes next:
call the model, run tools, or wait for the person. `turns.Agent` does that, over four ports
(`ports`): a model (`messages_api`), tools (`tools`), someone to ask, and transcripts; and yields
`events`. `headless` prints those, `terminal` shows them to a person. `permissions` and `shell`
(pure) decide what may run; `workspace` and `sandbox` say where. `session` puts it together.

Runs on a person's machine; imports the policy and the client, and nothing of the server.
"""
