import copy
import functools
import warnings

import numpy as np
import pytest
import torch
from close import assert_close
from hypothesis import given
from hypothesis import strategies as st

from diffusion_lab import forward, samplers, schedules, unet
from diffusion_lab.exact import GaussianMixture
from diffusion_lab.unet import MLP, ModelDenoiser, TinyUNet
from diffusion_lab.weights import from_bytes, in_bytes


def tiny(network=TinyUNet, **arguments):
    """Always the same weights; those of the last layer, which start at zero, random, so that all matters."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = network(**arguments)
        torch.nn.init.normal_(net.last.weight, std=0.2)
    return net.eval()


def seeded():
    return torch.Generator().manual_seed(0)


NETWORKS = {
    "unet": (lambda: tiny(width=8, num_classes=10), torch.randn(4, 1, 8, 8, generator=seeded())),
    "mlp": (lambda: tiny(MLP, num_classes=10), torch.randn(4, 2, generator=seeded())),
}
both = pytest.mark.parametrize("kind", NETWORKS)


@given(
    batch=st.integers(1, 3), channels=st.sampled_from([1, 3]), levels=st.integers(1, 3),
    blocks=st.integers(1, 2), quarter=st.integers(2, 5), classes=st.sampled_from([None, 1, 10]),
)  # fmt: skip
def test_any_square_that_the_levels_divide(batch, channels, levels, blocks, quarter, classes):
    net = TinyUNet(channels=channels, width=8, levels=levels, blocks=blocks, num_classes=classes)
    side = quarter * 2 ** (levels - 1)
    x = torch.randn(batch, channels, side, side)
    assert net(x, 7).shape == x.shape
    with pytest.raises(ValueError, match=rf"x must be square .* \[{batch}, {channels}, {side}, {side + 1}\]"):
        net(torch.randn(batch, channels, side, side + 1), 7)
    if levels > 1:
        with pytest.raises(
            ValueError, match=f"x's side must divide by {2 ** (levels - 1)}, .* got {side + 1}"
        ):
            net(torch.randn(batch, channels, side + 1, side + 1), 7)


@both
def test_an_untrained_network_says_zero(kind):
    net = {"unet": TinyUNet(width=8), "mlp": MLP()}[kind]
    assert not net(NETWORKS[kind][1], 500).any()


@both
def test_t_may_be_one_number_or_one_per_example_whole_or_real(kind):
    make, x = NETWORKS[kind]
    net = make()
    expected = net(x, torch.full((4,), 300))
    for t in (300, 300.0, torch.tensor(300), torch.full((4,), 300.0), torch.full((4,), 300.0).double()):
        assert torch.allclose(net(x, t), expected, atol=1e-5)
    assert not torch.allclose(net(x, 300.5), expected, atol=1e-4)
    each = net(x, torch.tensor([1, 2, 500, 1000]))
    assert torch.allclose(each[2:3], net(x[2:3], 500), atol=1e-5)
    for t in (torch.zeros(3), torch.zeros(4, 1)):
        with pytest.raises(ValueError, match=r"t must be one number or \[B\] = \[4\]; got shape"):
            net(x, t)


def test_neighbouring_and_distant_times_look_different():
    """By distances that depend on the difference alone: what the docstring says, with its two numbers."""
    t = torch.tensor([1.0, 2.0, 100.0, 101.0, 900.0])
    e = unet.time_embedding(t, 128)
    assert e.shape == (5, 128) and e.abs().max() <= 1
    apart = torch.cdist(e.double(), e.double())
    assert apart[0, 1].item() == pytest.approx(1.95, abs=5e-3)
    assert apart[2, 3].item() == pytest.approx(apart[0, 1].item(), rel=1e-4)
    assert apart[2, 4].item() == pytest.approx(10.3, abs=0.05)
    # the slowest pair: a full turn takes 2π · 10 000^(1 − 2/dim) steps
    slow = unet.time_embedding(torch.tensor([0.0, 2 * torch.pi * 10_000 ** (1 - 2 / 128)]), 128)[:, [63, 127]]
    assert torch.allclose(slow[0], slow[1], atol=2e-3)
    assert not torch.allclose(
        *unet.time_embedding(torch.tensor([0.0, 30_000.0]), 128)[:, [63, 127]], atol=0.5
    )


@both
def test_labels(kind):
    make, x = NETWORKS[kind]
    net = make()
    none, three = net(x, 300), net(x, 300, 3)
    assert not torch.allclose(none, three)
    assert_close(net(x, 300, torch.full((4,), 3)), three, rtol=1e-4, atol=1e-5)
    mixed = net(x, 300, torch.tensor([3, 4, 5, 3]))
    assert torch.allclose(mixed[[0, 3]], three[[0, 3]], atol=1e-5) and not torch.allclose(mixed[1], three[1])

    drop = torch.tensor([True, False, True, False])
    dropped = net(x, 300, 3, drop)
    assert torch.allclose(dropped, torch.where(drop.view(-1, *[1] * (x.ndim - 1)), none, three), atol=1e-6)

    for wrong in (10, -1, 2.0, True, torch.tensor([0, 1, 2, 10]), torch.tensor([0.0, 1.0, 2.0, 3.0])):
        with pytest.raises(ValueError, match=r"label must be an integer in 0…9, or None; got"):
            net(x, 300, wrong)
    with pytest.raises(ValueError, match=r"label must be one number or \[B\] = \[4\]; got shape \[2\]"):
        net(x, 300, torch.tensor([1, 2]))


@both
def test_without_classes_there_is_no_label_to_give(kind):
    net, x = {"unet": TinyUNet(width=8), "mlp": MLP()}[kind], NETWORKS[kind][1]
    assert net.num_classes is None
    with pytest.raises(ValueError, match="label must be None: this network knows no classes; got 3"):
        net(x, 300, 3)


@both
def test_every_weight_gets_a_gradient(kind):
    make, x = NETWORKS[kind]
    net = make()
    x = x.clone().requires_grad_()
    net(x, 300, torch.tensor([0, 1, 2, 3])).square().sum().backward()
    assert x.grad.abs().sum() > 0
    for name, weight in net.named_parameters():
        assert weight.grad is not None and weight.grad.abs().sum() > 0, name


@both
def test_examples_of_a_batch_do_not_see_each_other(kind):
    make, x = NETWORKS[kind]
    net, t, label = make(), torch.tensor([1, 200, 600, 1000]), torch.tensor([0, 3, 6, 9])
    alone = torch.cat([net(x[i : i + 1], t[i : i + 1], label[i : i + 1]) for i in range(4)])
    assert torch.allclose(net(x, t, label), alone, atol=1e-5)


def test_dropout_acts_in_training_only():
    net, x = tiny(width=8, dropout=0.5), NETWORKS["unet"][1]
    assert torch.equal(net(x, 300), net(x, 300))
    net.train()
    assert not torch.equal(net(x, 300), net(x, 300))


def test_dropout_is_torchs_own_but_for_whom_it_asks():
    x = torch.randn(500, generator=seeded())
    with torch.random.fork_rng():
        torch.manual_seed(3)
        expected = torch.nn.functional.dropout(x, 0.3)
    layer = unet.Dropout(0.3)
    layer.generator = torch.Generator().manual_seed(3)
    assert torch.equal(layer(x), expected) and 0.2 < (expected == 0).double().mean() < 0.4
    assert torch.equal(layer.eval()(x), x)


@pytest.mark.parametrize(
    "make",
    [
        lambda: TinyUNet(width=8, levels=3, blocks=2, num_classes=10),
        lambda: MLP(width=16, num_classes=3),
        lambda: torch.nn.Sequential(torch.nn.Linear(3, 4, bias=False), torch.nn.Conv2d(2, 4, 3)),
    ],
)
def test_first_weights_are_torchs_own_but_for_whom_they_are_drawn_from(make):
    with torch.random.fork_rng():
        torch.manual_seed(11)
        expected = make().state_dict()
    found = unet.drawn(make, torch.Generator().manual_seed(11)).state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in found)
    other = unet.drawn(make, torch.Generator().manual_seed(12)).state_dict()
    assert any(not torch.equal(other[name], expected[name]) for name in found)


def test_a_loaded_network_has_copies_of_the_weights():
    make = functools.partial(TinyUNet, width=8, num_classes=10)
    weights = tiny(width=8, num_classes=10).half().state_dict()
    net = unet.loaded(make, weights)
    assert all(value.dtype == torch.float32 and not value.is_meta for value in net.state_dict().values())
    assert all(torch.equal(value, weights[name].float()) for name, value in net.state_dict().items())
    again = unet.loaded(make, net.state_dict())
    with torch.no_grad():
        again.first.weight.zero_()
    assert net.first.weight.any(), "what is loaded is the caller's to change"
    with pytest.raises(ValueError, match=r"(?s)weights must be those of this TinyUNet; .*size mismatch"):
        unet.loaded(functools.partial(TinyUNet, width=16, num_classes=10), weights)
    with pytest.raises(ValueError, match=r"(?s)weights must be those of this MLP; .*Missing key"):
        unet.loaded(MLP, weights)


@given(st.integers(0, 10_000), st.floats(1e-3, 30.0))
def test_a_weight_of_one_byte_is_within_a_254th_of_the_largest_in_its_row(seed, size):
    generator = torch.Generator().manual_seed(seed)
    weights = {
        "a": size * torch.randn(5, 3, 2, 2, generator=generator),
        "b": torch.randn(7, generator=generator),
    }
    weights["a"][2] = 0
    stored = in_bytes(weights)
    again = from_bytes(stored)
    assert stored["a"].dtype == torch.int8 and list(again) == ["a", "b"]
    largest = weights["a"].flatten(1).abs().amax(1)
    off = (again["a"] - weights["a"]).flatten(1).abs().amax(1)
    assert (off <= largest * (1 / 254 + 2**-10)).all() and (again["a"][2] == 0).all()  # 2⁻¹⁰: of the scale
    assert torch.equal(again["b"], weights["b"].half().float())
    once_more = from_bytes(in_bytes(again))
    assert (once_more["a"] - again["a"]).abs().max() <= 2**-9 * largest.max()


def test_no_number_is_looked_at_where_looking_means_waiting():
    """On the device "meta" there is no number to look at: whoever asks for one gets an error."""
    with torch.device("meta"):
        for net, x in (
            (TinyUNet(width=8, num_classes=10), torch.zeros(4, 1, 8, 8)),
            (MLP(), torch.zeros(4, 2)),
        ):
            label = None if net.num_classes is None else torch.zeros(4, dtype=torch.long)
            assert net(x, torch.tensor(3.0), label).shape == x.shape


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TinyUNet(channels=2), "channels must be 1 or 3, or 4 for latents; got 2"),
        (lambda: TinyUNet(width=12), "width must be a multiple of 8, .* got 12"),
        (lambda: TinyUNet(width=0), "width must be an integer of at least 8; got 0"),
        (lambda: TinyUNet(levels=0), "levels must be an integer of at least 1; got 0"),
        (lambda: TinyUNet(blocks=0), "blocks must be an integer of at least 1; got 0"),
        (lambda: TinyUNet(dropout=1), r"dropout must lie in \[0, 1\); got 1"),
        (lambda: TinyUNet(num_classes=0), "num_classes must be an integer of at least 1; got 0"),
        (lambda: TinyUNet(levels=3, image_size=6), "image_size must divide by 4, for 3 levels; got 6"),
        (lambda: TinyUNet(width=8, image_size=8)(torch.zeros(1, 1, 4, 4), 1), "x must be 8 pixels wide"),
        (
            lambda: TinyUNet(width=8)(torch.zeros(1, 3, 8, 8), 1),
            r"x must be .* \[B, 1, S, S\]; got .* \[1, 3, 8, 8\]",
        ),
        (
            lambda: TinyUNet(width=8)(torch.zeros(1, 1, 8, 8, dtype=int), 1),
            "x must be .*floating-point.*int64",
        ),
        (lambda: MLP(width=7), "width must be even, .* got 7"),
        (lambda: MLP(depth=0), "depth must be an integer of at least 1; got 0"),
        (lambda: MLP()(torch.zeros(4, 3), 1), r"x must be .*points \[B, 2\]; got .* \[4, 3\]"),
        (lambda: MLP()(torch.zeros(4, 2, dtype=int), 1), "x must be .*int64"),
        (
            lambda: ModelDenoiser(MLP(), schedules.cosine(10), "noise"),
            'predicts must be "eps", "x0" or "v"; got',
        ),
        (
            lambda: ModelDenoiser(MLP(), schedules.cosine(10)).given(0),
            "label must be None: this network knows no",
        ),
        (
            lambda: ModelDenoiser(tiny(width=8, num_classes=10), schedules.cosine(10)).given(10),
            "label must be an integer in 0…9",
        ),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_shapes_that_recipes_and_samplers_ask_for():
    assert TinyUNet(channels=3, width=8, image_size=16).shape == (3, 16, 16)
    assert TinyUNet(width=8).shape is None
    assert MLP(dim=5).shape == (5,)


def test_the_class_is_one_a_student_can_read():
    import inspect

    assert len(inspect.getsource(TinyUNet).splitlines()) <= 150


# --- layouts, precisions, compilers, devices ---


def test_channels_last_gives_the_same():
    net, x = tiny(width=8, num_classes=10), NETWORKS["unet"][1]
    expected = net(x, 300, 3)
    net = net.to(memory_format=torch.channels_last)
    assert torch.allclose(net(x.to(memory_format=torch.channels_last), 300, 3), expected, atol=1e-5)


@both
def test_bf16_autocast_stays_close_and_trains(kind):
    make, x = NETWORKS[kind]
    net = make()
    expected = net(x, 999, 3)
    with torch.autocast("cpu", torch.bfloat16):
        out = net(x, 999, 3)
    assert out.dtype == torch.bfloat16
    assert (out.float() - expected).norm() < 0.03 * expected.norm()
    out.float().square().sum().backward()
    assert all(weight.grad.isfinite().all() for weight in net.parameters())


@both
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_weights(kind, dtype):
    make, x = NETWORKS[kind]
    expected = make()(x, 999, 3)
    out = make().to(dtype)(x.to(dtype), 999, 3)
    assert out.dtype == dtype
    assert (out.float() - expected).norm() < (0.05 if dtype == torch.bfloat16 else 1e-5) * expected.norm()


def test_compiled_it_is_one_graph_and_gives_the_same():
    net = tiny(width=8, levels=1, num_classes=10)
    # A break in the graph would raise; what becomes of the graph is torch's business, and takes its time
    fast = torch.compile(net, fullgraph=True, dynamic=False, backend="aot_eager")
    x, t, label = NETWORKS["unet"][1], torch.tensor([1.0, 2.0, 3.0, 4.0]), torch.tensor([0, 3, 6, 9])
    with torch.no_grad():
        assert torch.allclose(fast(x, t, label), net(x, t, label), atol=1e-4)


@pytest.mark.gpu
@both
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_on_a_gpu_it_gives_the_same(kind, layout):
    if kind == "mlp" and layout == torch.channels_last:
        pytest.skip("points have no channels")
    make, x = NETWORKS[kind]
    expected = make()(x, 999, 3)
    net = make().cuda().to(memory_format=layout)
    out = net(x.cuda().to(memory_format=layout), torch.tensor(999), torch.tensor(3))  # t and label on the CPU
    assert (out.cpu() - expected).norm() < 5e-3 * expected.norm()  # convolutions may run in TF32
    with torch.autocast("cuda", torch.bfloat16):
        out = net(x.cuda().to(memory_format=layout), 999, 3)
    assert (out.float().cpu() - expected).norm() < 0.03 * expected.norm()


@pytest.mark.gpu
def test_a_denoiser_moves_t_to_the_gpu():
    net, x = tiny(width=8, num_classes=10), NETWORKS["unet"][1]
    schedule = schedules.cosine(1000)
    expected = ModelDenoiser(net, schedule, "v")(x, torch.tensor([1, 2, 500, 1000]))
    moved = ModelDenoiser(copy.deepcopy(net).cuda(), schedule, "v")(x.cuda(), torch.tensor([1, 2, 500, 1000]))
    for view in ("x0", "eps", "v"):
        ours, theirs = getattr(moved, view).cpu(), getattr(expected, view)
        assert (ours - theirs).norm() < 5e-3 * theirs.norm()


# --- ModelDenoiser ---


class Oracle(torch.nn.Module):
    """A "network" that outputs one view of an exact denoiser's prediction."""

    num_classes = None

    def __init__(self, denoiser, view):
        super().__init__()
        self.denoiser, self.view = denoiser, view
        self.unused = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))

    def forward(self, x, t, label=None):
        return getattr(self.denoiser(x, t), self.view)


@pytest.mark.parametrize("predicts", ["eps", "x0", "v"])
@pytest.mark.parametrize(
    "t", [1, 30, torch.tensor([1, 10, 40, 50]), 10.25, torch.tensor([1.0, 10.5, 40.25, 49.5])]
)
def test_a_network_that_is_right_cannot_be_told_from_the_exact_denoiser(predicts, t):
    schedule = schedules.linear(50, 0.002, 0.4)
    exact = GaussianMixture(
        torch.tensor([[-0.5, 0.3], [0.6, 0.1]]).double(), torch.tensor([0.2, 0.1]).double()
    )
    exact = exact.denoiser(schedule)
    learned = ModelDenoiser(Oracle(exact, predicts), schedule, predicts)
    x = torch.randn(4, 2, generator=seeded(), dtype=torch.float64)
    for view in ("x0", "eps", "v", "score"):
        assert torch.allclose(getattr(learned(x, t), view), getattr(exact(x, t), view), rtol=1e-9, atol=1e-9)


def test_a_sampler_cannot_tell_either():
    schedule = schedules.linear(50, 0.002, 0.4)
    exact = GaussianMixture(
        torch.tensor([[-0.5, 0.3], [0.6, 0.1]]).double(), torch.tensor([0.2, 0.1]).double()
    )
    exact = exact.denoiser(schedule)
    x_T = torch.randn(4, 2, generator=seeded(), dtype=torch.float64)
    *_, a = samplers.ddim(exact, x_T, schedule)
    *_, b = samplers.ddim(ModelDenoiser(Oracle(exact, "v"), schedule, "v"), x_T, schedule)
    assert torch.allclose(a.x, b.x, atol=1e-9)


def test_given_fixes_the_label_and_leaves_the_rest():
    schedule = schedules.zero_terminal_snr(schedules.cosine(100))
    denoiser, x = ModelDenoiser(tiny(width=8, num_classes=10), schedule, "v"), NETWORKS["unet"][1]
    three = denoiser.given(3)
    assert type(three) is ModelDenoiser and three.schedule is schedule and three.net is denoiser.net
    assert torch.equal(three(x, 50).v, ModelDenoiser(denoiser.net, schedule, "v", 3)(x, 50).v)
    assert_close(denoiser.given(torch.full((4,), 3))(x, 50).x0, three(x, 50).x0, rtol=1e-4, atol=1e-5)
    assert torch.equal(three.given(None)(x, 50).x0, denoiser(x, 50).x0)
    assert not torch.allclose(three(x, 50).x0, denoiser(x, 50).x0)
    assert three(x, 100).x0.isfinite().all()  # v works where nothing of the signal is left


@pytest.mark.parametrize("label", [3, [3, 3, 3, 3], np.array([3, 3, 3, 3], np.uint8), np.int64(3)])
def test_labels_may_be_a_list_or_an_array(label):
    denoiser, x = (
        ModelDenoiser(tiny(width=8, num_classes=10), schedules.cosine(100), "v"),
        NETWORKS["unet"][1],
    )
    told = denoiser.given(torch.full((4,), 3))
    assert_close(denoiser.given(label)(x, 50).x0, told(x, 50).x0, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("label", ["3", [[1], [2, 3]], [1, "2"], 2.0, -1, 10, 1j, True, object()])
def test_labels_that_are_none(label):
    denoiser = ModelDenoiser(tiny(width=8, num_classes=10), schedules.cosine(100), "v")
    with pytest.raises(ValueError, match="label must be an integer in 0…9, or None; got"):
        denoiser.given(label)


def test_a_network_may_have_no_weights_and_be_a_plain_function():
    schedule, x = schedules.cosine(100), torch.ones(3, 2, dtype=torch.float64)

    class Nothing(torch.nn.Module):
        def forward(self, x, t, label):
            return torch.zeros_like(x)

    for net in (Nothing(), lambda x, t, label: torch.zeros_like(x)):
        denoiser = ModelDenoiser(net, schedule, "x0")
        assert not denoiser(x, 50).x0.any() and denoiser(x, 50).x0.dtype == torch.float64
        assert denoiser.shape is None
        with pytest.raises(ValueError, match="label must be None: this network knows no classes; got 1"):
            denoiser.given(1)
    assert ModelDenoiser(MLP(dim=5), schedule).shape == (5,)


def test_a_share_of_T_for_t_is_warned_of():
    denoiser, x = ModelDenoiser(MLP(), schedules.cosine(100), "v"), NETWORKS["mlp"][1]
    with pytest.warns(UserWarning, match=r"t = 0\.5 of 100 steps .* t runs from 0 to 100"):
        denoiser(x, 0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for t in (0, 1, 0.0, 1.0, 50.5, torch.tensor(0.5), torch.full((4,), 0.5).double()):
            denoiser(x, t)


def test_gradients_reach_x_and_the_weights():
    denoiser, x = (
        ModelDenoiser(tiny(width=8, num_classes=10), schedules.cosine(100), "v"),
        NETWORKS["unet"][1].clone().requires_grad_(),
    )
    denoiser(x, torch.tensor([1, 20, 60, 100])).x0.sum().backward()
    assert x.grad.abs().sum() > 0 and all(w.grad is not None for w in denoiser.net.parameters())


def test_the_prediction_has_the_dtype_of_the_data():
    denoiser, x = (
        ModelDenoiser(tiny(width=8, num_classes=10), schedules.cosine(100), "v"),
        NETWORKS["unet"][1],
    )
    prediction = denoiser(x.double(), 50)
    assert prediction.x0.dtype == torch.float64
    x0 = torch.zeros_like(x).double()
    assert forward.q_posterior(prediction.x0, x.double(), 50, denoiser.schedule).mean.shape == x0.shape


@pytest.mark.parametrize("t", [-1, 101, 100.5, float("nan"), torch.tensor([1, 2, 3, 101])])
def test_a_time_off_the_schedule_is_refused(t):
    denoiser, x = (
        ModelDenoiser(tiny(width=8, num_classes=10), schedules.cosine(100), "v"),
        NETWORKS["unet"][1],
    )
    with pytest.raises(ValueError, match="t must lie in 0…100"):
        denoiser(x, t)


def test_data_that_are_not_numbers_are_refused():
    denoiser, x = (
        ModelDenoiser(tiny(width=8, num_classes=10), schedules.cosine(100), "v"),
        NETWORKS["unet"][1].clone(),
    )
    with pytest.raises(ValueError, match="x_t must be a floating-point tensor"):
        denoiser(x.int(), 1)
    x[0, 0, 0, 0] = float("nan")
    with pytest.raises(ValueError, match="x_t must be finite"):
        denoiser(x, 1)
