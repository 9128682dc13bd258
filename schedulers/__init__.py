"""When to stop a training, and which to run next.

``schedulers.curves`` models learning curves and ``schedulers.policies`` decides on them; both are pure functions.
``schedulers.tune`` drives a policy under Ray Tune and is the only module here that needs Ray.
"""
