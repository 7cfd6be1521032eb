"""The planners that the contract suite runs over, each with a budget that solves the suite's problems."""

from problems import CHOICES

from wmcontrol.planners import CEM, CMA, ICEM, MPPI, CategoricalCEM, Gradient, Hybrid, Planner, RandomShooting

PLANNERS: dict[str, Planner] = {
    "CEM": CEM(num_samples=100),
    "CEM, momentum": CEM(num_samples=100, momentum=0.2, num_iterations=50),
    "ICEM": ICEM(num_samples=100, num_elites=10, decay=1.1),
    "ICEM, white": ICEM(num_samples=100, num_elites=10, decay=1.0, noise_beta=0.0),
    "MPPI": MPPI(num_samples=100),
    "MPPI, smooth": MPPI(num_samples=100, noise_beta=1.0, num_iterations=60),
    "MPPI, fixed std": MPPI(num_samples=300, adapt_std=False, std=0.3, num_iterations=60),
    "Gradient": Gradient(num_samples=20),
    "Gradient, sgd": Gradient(num_samples=20, optimizer="sgd", num_iterations=200),
    "RandomShooting": RandomShooting(num_samples=1000, num_iterations=20),
    "Hybrid": Hybrid(sampling=CEM(num_samples=100, num_iterations=15)),
    "Hybrid of ICEM": Hybrid(sampling=ICEM(num_samples=100, num_elites=10)),
    "CategoricalCEM": CategoricalCEM(choices=CHOICES),
    "CMA": CMA(num_samples=20, num_iterations=100),
}
# What is left of the distance between the start's cost and the optimum; 2 % where nothing else is said.
REACHES = {
    "RandomShooting": 0.5,  # the floor: no more than chance
    "MPPI, fixed std": 0.1,  # as wide at the end as at the start
}
