"""Settings that Ray and its workers read when they start; importing this package sets them, before any `import ray`.

A value that is set already stays.
"""

import os

for name, value in {
    # Its default depends on what lies in the home folder; explicit, so that servers and clients agree.
    "RAY_AUTH_MODE": "token",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    # The evidence log is our own record.
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    # Its state is not: written while thousands of trials run it takes longer than they do.
    "TUNE_GLOBAL_CHECKPOINT_S": "1e9",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    # Ray's default of 15 starves trials as soon as anything else runs on the machine.
    "RAY_worker_niceness": "0",
    # Threads sleep while they wait: spinning ones make a step many times slower on a machine that does anything else.
    "OMP_WAIT_POLICY": "PASSIVE",
    # Ctrl-C is ours: see taurank.orchestrator.session.interruption.
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
}.items():
    os.environ.setdefault(name, value)
