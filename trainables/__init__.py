"""Trainings, supernets, proxies, and the Ray Tune trials around them."""
