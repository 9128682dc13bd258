"""The terms of the report, explained in a sentence each."""

GLOSSARY = {
    "rank": "Place in the order by expected final value; 1 is best.",
    "rank interval": "The ranks between which the candidate is with 90 % probability. The mark is its own rank.",
    "tier": "Candidates of one tier are not separated. A new tier starts at the first candidate that loses to the "
    "first of the tier before with 90 % probability.",
    "predicted": "Final value after full training, with its 90 % interval. It is the measured one where the evidence "
    "has a full training of the candidate.",
    "measured": "Final value of full trainings that are no evidence. It scores the ranking and does not change it. "
    "Without a baseline: the final value of full trainings that are evidence.",
    "objective": "Accuracy and cost as one number, as the experiment defines it; higher is better.",
    "top": "Probability that the candidate is among the best so many.",
    "FLOPs": "Multiply-accumulate operations of one forward pass of one image.",
    "latency": "Milliseconds of one forward pass as measured; lower is better.",
    "epochs": "Cost of the evidence on a candidate in epoch-equivalents: passes over all training images. A forward "
    "pass counts a third. Costs that all share are divided equally.",
    "seconds": "Device seconds of the evidence on a candidate.",
    "status": "State of the candidate's training with the longest schedule, with its last epoch and that length.",
    "tau-b": "Kendall's rank correlation of two orders, in [-1, 1]: 1 is the same order, 0 is chance.",
    "expected tau": "The tau-b with full training that the ranking expects of itself, from its own uncertainty, with a "
    "90 % interval.",
    "ceiling": "The tau-b between two full trainings with different seeds: no ranking can be expected to exceed it.",
    "retained": "Tau-b of the ranking divided by the ceiling.",
    "fidelity": "How close a training is to full training: its epochs, schedule, images and resolution.",
    "baseline": "Full trainings of the candidates that score the ranking. They are never evidence.",
    "weight": "Share of a source in the order. Sources of one kind may share one weight. All weights add up to 1.",
    "Pareto front": "The candidates for which no other is as cheap or cheaper and better.",
    "coverage": "Share of the 90 % intervals that contain the measured value.",
}
