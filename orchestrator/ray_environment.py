"""Settings that Ray and its workers read when they start; importing this package sets them, before any `import ray`.

Variables that are already set are not changed.
"""

import os

for name, value in {
    # Its default depends on the content of the home folder; set explicitly, so that servers and clients agree.
    "RAY_AUTH_MODE": "token",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    # The evidence log replaces Tune's result files.
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    # Nor is its state needed: with thousands of trials, writing it takes longer than the trials.
    "TUNE_GLOBAL_CHECKPOINT_S": "1e9",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    # Ray's default of 15 starves trials as soon as other processes run on the machine.
    "RAY_worker_niceness": "0",
    # Trials have an environment of their own, so that they cannot use the workers that Ray starts in advance.
    "RAY_prestart_worker_first_driver": "0",
    # Waiting threads sleep: spinning ones make a step many times slower on a machine with other work.
    "OMP_WAIT_POLICY": "PASSIVE",
    # taurank handles Ctrl-C itself: see taurank.orchestrator.session.interruption.
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
}.items():
    os.environ.setdefault(name, value)
