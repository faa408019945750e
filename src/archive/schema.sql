-- The facts of one archive. Every table but `meta` is only appended to; `seq` is the position
-- of a row in the order of all facts, over all tables. Money is in micro-dollars (10^-6 US$),
-- time in milliseconds since 1970 (UTC). A column named `..._blob` holds the SHA-256 of a file
-- in `blobs/`.

CREATE TABLE meta (
    key   TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- A process that wrote, and its orderly end; without a row in `run_end` it crashed or runs.
CREATE TABLE run (
    seq     INTEGER PRIMARY KEY,
    run     INTEGER NOT NULL UNIQUE,
    command TEXT NOT NULL,
    config  TEXT NOT NULL,
    version TEXT NOT NULL,
    sandbox TEXT NOT NULL,
    stages  TEXT NOT NULL CHECK (json_valid(stages)),
    at_ms   INTEGER NOT NULL
) STRICT;

CREATE TABLE run_end (
    seq    INTEGER PRIMARY KEY,
    run    INTEGER NOT NULL UNIQUE REFERENCES run (run),
    reason TEXT NOT NULL,
    at_ms  INTEGER NOT NULL
) STRICT;

-- A try at self-modification as it was decided. `round` numbers the group of attempts that know
-- nothing of each other; `weights` is [[variant, weight in the draw], ...]; `why` says where the
-- policy stood.
CREATE TABLE attempt (
    seq     INTEGER PRIMARY KEY,
    attempt INTEGER NOT NULL UNIQUE CHECK (attempt > 0),
    round   INTEGER NOT NULL,
    parent  INTEGER NOT NULL REFERENCES variant (variant),
    entry   TEXT NOT NULL,
    policy  TEXT NOT NULL,
    weights TEXT NOT NULL CHECK (json_valid(weights)),
    why     TEXT NOT NULL,
    run     INTEGER NOT NULL REFERENCES run (run),
    at_ms   INTEGER NOT NULL
) STRICT;

-- An evaluation as it was decided by a policy that draws which to run.
CREATE TABLE evaluation_decision (
    seq     INTEGER PRIMARY KEY,
    variant INTEGER NOT NULL REFERENCES variant (variant),
    task    TEXT NOT NULL,
    repeat  INTEGER NOT NULL,
    stage   INTEGER,
    holdout INTEGER NOT NULL CHECK (holdout IN (0, 1)),
    policy  TEXT NOT NULL,
    weights TEXT NOT NULL CHECK (json_valid(weights)),
    why     TEXT NOT NULL,
    run     INTEGER NOT NULL REFERENCES run (run),
    at_ms   INTEGER NOT NULL,
    UNIQUE (variant, task, repeat),
    CHECK (holdout = 0 OR stage IS NULL)
) STRICT;

CREATE TABLE proposal (
    seq                       INTEGER PRIMARY KEY,
    attempt                   INTEGER NOT NULL UNIQUE REFERENCES attempt (attempt),
    log_summarization         TEXT NOT NULL,
    potential_improvements    TEXT NOT NULL CHECK (json_valid(potential_improvements)),
    improvement_proposal      TEXT NOT NULL,
    implementation_suggestion TEXT NOT NULL,
    problem_description       TEXT NOT NULL,
    exchange_blob             TEXT NOT NULL
) STRICT;

-- Attempts whose diagnosis was shown hidden tests and reference solutions (`evidence = "paper"`).
CREATE TABLE disclosure (
    seq     INTEGER PRIMARY KEY,
    attempt INTEGER NOT NULL UNIQUE REFERENCES attempt (attempt),
    run     INTEGER NOT NULL REFERENCES run (run),
    at_ms   INTEGER NOT NULL
) STRICT;

-- A child that waited for the end of other attempts, to be compared with theirs; the attempt's
-- end says what became of it. The commit is kept by `refs/dgm/drafts/`.
CREATE TABLE draft (
    seq             INTEGER PRIMARY KEY,
    attempt         INTEGER NOT NULL UNIQUE REFERENCES attempt (attempt),
    commit_id       TEXT NOT NULL UNIQUE,
    tree_id         TEXT NOT NULL,
    log_blob        TEXT,
    transcript_blob TEXT,
    patch_blob      TEXT,
    gate_log_blob   TEXT,
    run             INTEGER NOT NULL REFERENCES run (run),
    execution       INTEGER NOT NULL,
    created_ms      INTEGER NOT NULL,
    at_ms           INTEGER NOT NULL
) STRICT;

-- How an attempt ended: `failure` is null where there is a variant of that number; `cause` says
-- what failed of the infrastructure.
CREATE TABLE attempt_end (
    seq             INTEGER PRIMARY KEY,
    attempt         INTEGER NOT NULL UNIQUE REFERENCES attempt (attempt),
    failure         TEXT,
    cause           TEXT,
    detail          TEXT,
    log_blob        TEXT,
    transcript_blob TEXT,
    patch_blob      TEXT,
    gate_log_blob   TEXT,
    run             INTEGER NOT NULL REFERENCES run (run),
    execution       INTEGER NOT NULL,
    at_ms           INTEGER NOT NULL,
    CHECK ((failure IS NULL) = (detail IS NULL)),
    CHECK ((cause IS NOT NULL) = (failure IS 'infrastructure'))
) STRICT;

CREATE TABLE variant (
    seq        INTEGER PRIMARY KEY,
    variant    INTEGER NOT NULL UNIQUE CHECK (variant >= 0),
    commit_id  TEXT NOT NULL UNIQUE,
    tree_id    TEXT NOT NULL UNIQUE,
    parent     INTEGER REFERENCES variant (variant),
    generation INTEGER NOT NULL,
    summary    TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    CHECK ((parent IS NULL) = (variant = 0))
) STRICT;

-- A settled evaluation: at most one per variant, task and repeat. `rewards` is {name: number,
-- ...}, all that the verifier gave, and null where that is only the `reward`. `cause` says why it
-- is no plain measurement; `detail` says the same to people. `stage` counts from 0 and is null for
-- further evaluations, which never guide selection. `holdout` is 1 for those of a task that was
-- held out.
CREATE TABLE evaluation (
    seq              INTEGER PRIMARY KEY,
    variant          INTEGER NOT NULL REFERENCES variant (variant),
    task             TEXT NOT NULL,
    repeat           INTEGER NOT NULL,
    stage            INTEGER,
    holdout          INTEGER NOT NULL CHECK (holdout IN (0, 1)),
    outcome          TEXT NOT NULL,
    passed           INTEGER NOT NULL CHECK (passed IN (0, 1)),
    reward           REAL,
    rewards          TEXT CHECK (json_valid(rewards)),
    cause            TEXT,
    detail           TEXT NOT NULL,
    task_digest      TEXT NOT NULL,
    image            TEXT,
    agent_log_blob   TEXT,
    verifier_log_blob TEXT,
    patch_blob       TEXT,
    transcript_blob  TEXT,
    context_overflow INTEGER NOT NULL CHECK (context_overflow IN (0, 1)),
    agent_ms         INTEGER NOT NULL,
    verifier_ms      INTEGER NOT NULL,
    run              INTEGER NOT NULL REFERENCES run (run),
    execution        INTEGER NOT NULL,
    at_ms            INTEGER NOT NULL,
    UNIQUE (variant, task, repeat),
    CHECK (holdout = 0 OR stage IS NULL),
    CHECK ((cause IS NULL) = (outcome IN ('resolved', 'unresolved')))
) STRICT;

-- What was judged in an evaluation, kept to be judged again.
CREATE TABLE answer (
    seq         INTEGER PRIMARY KEY,
    variant     INTEGER NOT NULL,
    task        TEXT NOT NULL,
    repeat      INTEGER NOT NULL,
    answer_blob TEXT NOT NULL,
    UNIQUE (variant, task, repeat),
    FOREIGN KEY (variant, task, repeat) REFERENCES evaluation (variant, task, repeat)
) STRICT;

-- A kept answer that was judged again: at most once by a process. The evaluation stays as it
-- was, and so does a score that guided an evolution.
CREATE TABLE regrade (
    seq               INTEGER PRIMARY KEY,
    variant           INTEGER NOT NULL,
    task              TEXT NOT NULL,
    repeat            INTEGER NOT NULL,
    outcome           TEXT NOT NULL,
    passed            INTEGER NOT NULL CHECK (passed IN (0, 1)),
    reward            REAL,
    rewards           TEXT CHECK (json_valid(rewards)),
    cause             TEXT,
    detail            TEXT NOT NULL,
    task_digest       TEXT NOT NULL,
    verifier_log_blob TEXT,
    verifier_ms       INTEGER NOT NULL,
    run               INTEGER NOT NULL REFERENCES run (run),
    execution         INTEGER NOT NULL,
    at_ms             INTEGER NOT NULL,
    UNIQUE (variant, task, repeat, run),
    FOREIGN KEY (variant, task, repeat) REFERENCES evaluation (variant, task, repeat),
    CHECK ((cause IS NULL) = (outcome IN ('resolved', 'unresolved')))
) STRICT;

-- An execution that did not count. It belongs to an attempt, to an evaluation, or, where `regrade`
-- is 1, to another judgement of that evaluation's answer.
CREATE TABLE fault (
    seq       INTEGER PRIMARY KEY,
    attempt   INTEGER REFERENCES attempt (attempt),
    variant   INTEGER REFERENCES variant (variant),
    task      TEXT,
    repeat    INTEGER,
    regrade   INTEGER NOT NULL CHECK (regrade IN (0, 1)),
    outcome   TEXT NOT NULL,
    cause     TEXT NOT NULL,
    detail    TEXT NOT NULL,
    run       INTEGER NOT NULL REFERENCES run (run),
    execution INTEGER NOT NULL,
    at_ms     INTEGER NOT NULL,
    CHECK ((attempt IS NULL) = (variant IS NOT NULL)),
    CHECK ((variant IS NULL) = (task IS NULL) AND (variant IS NULL) = (repeat IS NULL)),
    CHECK (regrade = 0 OR variant IS NOT NULL)
) STRICT;

-- What admission decided; `reason` is null where the variant is in the pool of parents.
CREATE TABLE verdict (
    seq     INTEGER PRIMARY KEY,
    variant INTEGER NOT NULL UNIQUE REFERENCES variant (variant),
    verdict TEXT NOT NULL CHECK (verdict IN ('admitted', 'rejected')),
    reason  TEXT,
    at_ms   INTEGER NOT NULL,
    CHECK ((verdict = 'admitted') = (reason IS NULL))
) STRICT;

-- A model call's intent, durable before the request leaves. It belongs to an attempt, to an
-- evaluation, or to neither (made by hand). Without a row in `call_settlement` it has cost at
-- most `at_most_usd_micros`.
CREATE TABLE call (
    seq                INTEGER PRIMARY KEY,
    call               INTEGER NOT NULL UNIQUE,
    run                INTEGER NOT NULL REFERENCES run (run),
    execution          INTEGER NOT NULL,
    attempt            INTEGER REFERENCES attempt (attempt),
    variant            INTEGER REFERENCES variant (variant),
    task               TEXT,
    repeat             INTEGER,
    regrade            INTEGER NOT NULL CHECK (regrade IN (0, 1)),
    role               TEXT NOT NULL,
    model              TEXT NOT NULL,
    at_most_usd_micros INTEGER NOT NULL,
    at_most_tokens     INTEGER NOT NULL,
    at_ms              INTEGER NOT NULL,
    CHECK (attempt IS NULL OR variant IS NULL),
    CHECK ((variant IS NULL) = (task IS NULL) AND (variant IS NULL) = (repeat IS NULL)),
    CHECK (regrade = 0 OR variant IS NOT NULL)
) STRICT;

-- `estimated` is 1 where the provider did not say how many tokens it used. Of the input tokens,
-- `cached_tokens` were read from the provider's cache and `cache_written_tokens` written to it,
-- of which `cache_written_long_tokens` for an hour.
CREATE TABLE call_settlement (
    seq                       INTEGER PRIMARY KEY,
    call                      INTEGER NOT NULL UNIQUE REFERENCES call (call),
    status                    TEXT NOT NULL,
    input_tokens              INTEGER NOT NULL,
    cached_tokens             INTEGER NOT NULL,
    cache_written_tokens      INTEGER NOT NULL,
    cache_written_long_tokens INTEGER NOT NULL,
    output_tokens             INTEGER NOT NULL,
    reasoning_tokens          INTEGER NOT NULL,
    estimated                 INTEGER NOT NULL CHECK (estimated IN (0, 1)),
    cost_usd_micros           INTEGER NOT NULL,
    latency_ms                INTEGER NOT NULL
) STRICT;

-- What a model was sent and what it answered, where a run was asked to keep it. The request is
-- stored without its first `base_messages` messages, which the request of call `base` has as
-- well; it was the `tried`-th try of it. Without an answer, the caller went away before anything
-- came.
CREATE TABLE recording (
    seq            INTEGER PRIMARY KEY,
    call           INTEGER NOT NULL UNIQUE REFERENCES call (call),
    dialect        TEXT NOT NULL CHECK (dialect IN ('chat', 'messages')),
    streamed       INTEGER NOT NULL CHECK (streamed IN (0, 1)),
    tried          INTEGER NOT NULL,
    request_digest TEXT NOT NULL,
    messages       INTEGER NOT NULL,
    base           INTEGER REFERENCES recording (call),
    base_messages  INTEGER,
    request_blob   TEXT NOT NULL,
    answer_blob    TEXT,
    CHECK ((base IS NULL) = (base_messages IS NULL)),
    CHECK (base < call AND base_messages <= messages)
) STRICT;

-- A run that took its answers from the recordings of an archive: nothing of it was charged.
CREATE TABLE replay (
    seq     INTEGER PRIMARY KEY,
    run     INTEGER NOT NULL UNIQUE REFERENCES run (run),
    archive TEXT NOT NULL,
    place   TEXT NOT NULL
) STRICT;
