"""The smallest GAN there is: one real point, one drawn point, a discriminator with one weight.

The real point is 0, the generator draws the point θ, and the discriminator says D(x) = ψ x (Mescheder et al.
2018, section 2, who call it the Dirac-GAN). Both learn by gradient descent on the losses of
`applications.gan`, with R1 of weight γ::

    L_D = softplus(−D(0)) + softplus(D(θ)) + γ/2 ψ²         L_G = softplus(−D(θ))

The one point where both are at rest is θ = ψ = 0. There the field (θ', ψ') = −(∂L_G/∂θ, ∂L_D/∂ψ) has the
Jacobian [[0, ½], [−½, −γ]], and its eigenvalues say all: without R1 they are ±i/2, which is a circle.
"""

import torch
from torch import Tensor

from ..applications.gan import discriminator_loss, generator_loss, gradient_penalty
from ..checks import check_data, check_int

ORDERS = ("simultaneous", "alternating")


def field(place: Tensor, gamma: float = 0.0) -> Tensor:
    """−(∂L_G/∂θ, ∂L_D/∂ψ), by autograd: where both players want to go. place (θ, ψ) [2] -> [2], float64."""
    check_data(place, "place", [2])
    with torch.enable_grad():
        theta, psi = place.double().detach().clone().requires_grad_().unbind()
        drawn = theta.reshape(1, 1)
        penalty = gradient_penalty(lambda x: psi * x[:, 0], torch.zeros(1, 1, dtype=torch.float64)).mean()
        fake = psi * drawn[:, 0]
        loss = discriminator_loss(torch.zeros_like(fake), fake) + 0.5 * gamma * penalty
        (down,) = torch.autograd.grad(loss, psi, retain_graph=True)
        (left,) = torch.autograd.grad(generator_loss(fake), theta)
    return -torch.stack([left, down])


def step(place: Tensor, h: float, gamma: float = 0.0, order: str = "simultaneous") -> Tensor:
    """One step of both players, of length h. [2] -> [2].

    "simultaneous": both move from where they stand. "alternating": the discriminator moves first, and the
    generator sees it moved, as GANs are trained. Raises ValueError for another order.
    """
    if order not in ORDERS:
        raise ValueError(f"order must be one of {', '.join(ORDERS)}; got {order!r}")
    moved = place + h * field(place, gamma)
    if order == "alternating":
        theta, psi = place[0], moved[1]
        moved = torch.stack([theta + h * field(torch.stack([theta, psi]), gamma)[0], psi])
    return moved


def walk(start: Tensor, steps: int, h: float, gamma: float = 0.0, order: str = "simultaneous") -> Tensor:
    """The places that both come to, start included: [steps + 1, 2], float64."""
    places = [check_data(start, "start", [2]).double()]
    for _ in range(check_int(steps, "steps", 1)):
        places.append(step(places[-1], h, gamma, order))
    return torch.stack(places)


def eigenvalues(gamma: float = 0.0) -> Tensor:
    """Of the field's Jacobian at rest: [2], complex128. λ = −γ/2 ± ½ (γ² − 1)^½.

    They solve λ² + γ λ + ¼ = 0 (Mescheder et al. 2018, sections 2 and 3; their f′(0) is ½ here). A real part
    below 0 pulls inwards. Above γ = 1 both are real, and the slower one tends to −1/(4γ): the discriminator
    is then held so tightly that it hardly says anything.
    """
    root = torch.sqrt(torch.tensor(gamma**2 - 1, dtype=torch.complex128))
    return torch.stack([-gamma + root, -gamma - root]) / 2


def growth(h: float, gamma: float = 0.0, order: str = "simultaneous") -> float:
    """By how much one step multiplies the distance from rest, in the long run.

    It is the largest modulus of the eigenvalues of the step's linear part at rest, which follows from the
    field's Jacobian. Where they are complex::

        simultaneous   (1 − h γ + h²/4)^½      above 1 without R1, below 1 for γ > h/4
        alternating    (1 − h γ)^½             exactly 1 without R1
    """
    if order not in ORDERS:
        raise ValueError(f"order must be one of {', '.join(ORDERS)}; got {order!r}")
    generator = torch.tensor([[1, h / 2], [0, 1]], dtype=torch.float64)
    discriminator = torch.tensor([[1, 0], [-h / 2, 1 - h * gamma]], dtype=torch.float64)
    both = generator + discriminator - torch.eye(2, dtype=torch.float64)
    matrix = both if order == "simultaneous" else generator @ discriminator
    return torch.linalg.eigvals(matrix).abs().max().item()
