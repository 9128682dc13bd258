"""What can be measured: trainings, supernets, and the Ray Tune trials around them."""
