"""When to stop a training, and which to run next.

``schedulers.curves`` models learning curves and ``schedulers.policies`` decides on them; both are pure functions.
``schedulers.tune`` makes schedulers for Ray Tune; it, ``policy_scheduler`` and ``ray_schedulers`` alone need Ray.
"""
