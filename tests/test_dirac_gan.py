"""The Dirac-GAN: autograd's field and steps against its eigenvalues in closed form."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from diffusion_lab.experiments import dirac_gan

AT_REST = torch.zeros(2, dtype=torch.float64)
START = torch.tensor([0.02, 0.0], dtype=torch.float64)


def jacobian(function):
    """At rest, by central differences: [2, 2]."""
    e, columns = 1e-5, torch.eye(2, dtype=torch.float64)
    return torch.stack([(function(e * d) - function(-e * d)) / (2 * e) for d in columns], 1)


def in_order(values):
    values = torch.as_tensor(values, dtype=torch.complex128)
    return sorted(values.tolist(), key=lambda z: (round(z.real, 6), round(z.imag, 6)))


@given(st.floats(0, 4))
def test_the_field_has_the_eigenvalues_of_the_closed_form(gamma):
    found = torch.linalg.eigvals(jacobian(lambda place: dirac_gan.field(place, gamma)))
    for a, b in zip(in_order(found), in_order(dirac_gan.eigenvalues(gamma)), strict=True):
        assert abs(a - b) < 1e-4 + 2e-2 * (
            abs(gamma - 1) < 1e-3
        )  # at γ = 1 both coincide, and a root is taken


def test_without_the_penalty_they_are_on_the_imaginary_axis():
    assert torch.equal(dirac_gan.eigenvalues(0.0), torch.tensor([0.5j, -0.5j], dtype=torch.complex128))
    assert dirac_gan.eigenvalues(1.0).real.tolist() == [-0.5, -0.5]
    slow = dirac_gan.eigenvalues(20.0).real.max().item()
    assert slow == pytest.approx(-1 / 80, rel=1e-3), "a large penalty is slow"


@given(st.floats(0.05, 1), st.floats(0, 2), st.sampled_from(dirac_gan.ORDERS))
def test_a_step_grows_as_its_own_jacobian_says(h, gamma, order):
    matrix = jacobian(lambda place: dirac_gan.step(place, h, gamma, order))
    found = torch.linalg.eigvals(matrix).abs().max().item()
    # a double eigenvalue is a root of the differences' error
    assert dirac_gan.growth(h, gamma, order) == pytest.approx(found, abs=2e-3)


@pytest.mark.parametrize("h", [0.1, 0.5])
def test_growth_where_it_is_known(h):
    growth = dirac_gan.growth
    assert growth(h) == pytest.approx((1 + h**2 / 4) ** 0.5)
    assert growth(h, order="alternating") == pytest.approx(1)
    assert growth(h, h / 4) == pytest.approx(1), "the least penalty that holds simultaneous steps"
    assert growth(h, 0.5, "alternating") == pytest.approx((1 - h / 2) ** 0.5)


def test_walks_leave_circle_and_arrive():
    """So many steps that a circle is gone round; near rest, where the linear part is nearly all."""
    h, steps = 0.1, 500

    def ratio(**told):
        path = dirac_gan.walk(START, steps, h, **told).norm(dim=1)
        return (path[-1] / path[0]).item(), (path.max() / path.min()).item()

    out, _ = ratio()
    assert out == pytest.approx(dirac_gan.growth(h) ** steps, rel=0.02) and out > 1.8
    _, wide = ratio(order="alternating")
    assert wide == pytest.approx(1, abs=0.06)
    home, _ = ratio(gamma=0.3, order="alternating")
    assert home < 1e-2


def test_the_flow_itself_keeps_its_distance():
    """With h to 0 the field turns around rest: at right angles to the place, near it."""
    place = torch.tensor([0.01, 0.02], dtype=torch.float64)
    field = dirac_gan.field(place)
    assert abs(place @ field) < 1e-2 * place.norm() * field.norm()
    assert torch.equal(dirac_gan.field(AT_REST), AT_REST)


def test_bad_input():
    with pytest.raises(ValueError, match="order must be one of"):
        dirac_gan.step(START, 0.1, order="both")
    with pytest.raises(ValueError, match="order must be one of"):
        dirac_gan.growth(0.1, order="both")
    with pytest.raises(ValueError, match="place"):
        dirac_gan.field(torch.zeros(3))
    with pytest.raises(ValueError, match="steps"):
        dirac_gan.walk(START, 0, 0.1)
