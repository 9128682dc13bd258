"""When to stop a training, and which to run next.

``curves`` models learning curves and ``policies`` decides on them; both are pure functions.
``tune`` makes schedulers for Ray Tune; it, ``policy_scheduler`` and ``ray_schedulers`` alone need Ray.
"""
