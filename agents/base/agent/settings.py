"""The numbers that bound a run."""

# Replies of the model in one run.
MAX_TURNS = 30

# Seconds that one shell command may take.
COMMAND_SECONDS = 60

# Further tries after the model's provider failed.
PROVIDER_RETRIES = 3
