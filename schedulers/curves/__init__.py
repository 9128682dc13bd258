"""Models of learning curves."""

from schedulers.curves.penguin import Convergence, FitSettings, PenguinConfig, converge, fit_curve, predict

__all__ = ["Convergence", "FitSettings", "PenguinConfig", "converge", "fit_curve", "predict"]
