"""Reads a folder of jobs as Harbor's viewer does, and sums each job up as Harbor does."""

import json
import sys
import types
import typing

import typing_extensions

# Both came to `typing` with Python 3.12, which the package asks for.
typing.override = typing_extensions.override
typing.TypedDict = typing_extensions.TypedDict

import harbor  # noqa: E402

# The viewer's package starts a server when it is imported; its reader does not need one.
viewer = types.ModuleType("harbor.viewer")
viewer.__path__ = [harbor.__path__[0] + "/viewer"]
sys.modules["harbor.viewer"] = viewer

from pathlib import Path  # noqa: E402

from harbor.models.job.lock import JobLock, TrialLock  # noqa: E402
from harbor.models.job.result import JobStats  # noqa: E402
from harbor.utils.pass_at_k import compute_pass_at_k_by_evals  # noqa: E402
from harbor.viewer.scanner import JobScanner  # noqa: E402



def group(trial):
    agent = trial.agent_info
    model = agent.model_info and agent.model_info.name
    return JobStats.format_agent_evals_key(agent.name, model, trial.source)


jobs = Path(sys.argv[1])
scanner = JobScanner(jobs)
for job in scanner.list_jobs():
    assert scanner.get_job_config(job).job_name == job
    result = scanner.get_job_result(job)
    lock = JobLock.model_validate_json((jobs / job / "lock.json").read_text())
    trials = {}
    for name in scanner.list_trials(job):
        config = scanner.get_trial_config(job, name)
        trial = scanner.get_trial_result(job, name)
        assert trial is not None and config == trial.config, name
        assert config.trial_name == trial.trial_name == name
        own = TrialLock.model_validate_json((jobs / job / name / "lock.json").read_text())
        assert own in lock.trials
        trials[name] = trial
    assert len(lock.trials) == result.n_total_trials == len(trials)

    # What Harbor itself would have summed up.
    stats = JobStats.from_trial_results(
        list(trials.values()),
        n_total_trials=len(trials),
        n_retries=result.stats.n_retries,
    )
    pass_at_k = compute_pass_at_k_by_evals(list(trials.values()))
    for key, found in result.stats.evals.items():
        own_pass = pass_at_k.get(key, {})
        assert own_pass.keys() == found.pass_at_k.keys(), (own_pass, found.pass_at_k)
        for k, chance in own_pass.items():
            assert abs(chance - found.pass_at_k[k]) < 1e-12, (own_pass, found.pass_at_k)
        stats.evals[key].pass_at_k = found.pass_at_k
        own = [trial for trial in trials.values() if group(trial) == key]
        rewards = [trial.verifier_result and trial.verifier_result.rewards for trial in own]
        # Its metrics need Python 3.12; these count what is missing as zero.
        keys = sorted({key for reward in rewards if reward for key in reward})
        means = {
            name: sum((reward or {}).get(name, 0) for reward in rewards) / len(rewards)
            for name in keys
        }
        if len(keys) < 2:
            means = {"mean": means.get(keys[0], 0) if keys else 0}
        stats.evals[key].metrics = [means]
        for sums in [found, stats.evals[key]]:
            for names in [*sums.exception_stats.values(), *[names for of in sums.reward_stats.values() for names in of.values()]]:
                names.sort()
    cost = stats.cost_usd
    assert abs(cost - result.stats.cost_usd) < 1e-9, (cost, result.stats.cost_usd)
    stats.cost_usd = result.stats.cost_usd
    assert stats.model_dump() == result.stats.model_dump(), (stats, result.stats)
    summary = {
        trial.task_name: [
            trial.agent_info.name,
            trial.verifier_result and trial.verifier_result.rewards,
            trial.failure_cause,
            trial.agent_result.n_input_tokens,
        ]
        for trial in trials.values()
    }
    exceptions = [trial.exception_info and trial.exception_info.exception_type for trial in trials.values()]
    print(json.dumps({"job": job, "trials": summary, "retries": result.stats.n_retries, "pass_at_k": pass_at_k, "exceptions": exceptions}))
