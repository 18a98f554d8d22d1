import dataclasses
import json
import math
import os
import warnings

import pytest
import safetensors.torch
import torch

from diffusion_lab import checkpoints, data, forward, schedules, training
from diffusion_lab.training import Recipe, train
from diffusion_lab.views import Prediction

MLP = dict(data="moons", network="MLP", arguments=dict(width=16, depth=1), batch=32, T=100)
UNET = dict(arguments=dict(width=8, num_classes=10, dropout=0.3), batch=16, T=100)


def tiny_digits(n=50):
    images, labels = data.digits()
    return images[:n], labels[:n]


def weights(result):
    return result.denoiser.net.state_dict()


def assert_same_run(a, b):
    assert a.history.step == b.history.step
    assert torch.equal(a.history.t, b.history.t) and torch.equal(a.history.loss, b.history.loss)
    assert all(torch.equal(weights(a)[name], weights(b)[name]) for name in weights(a))


def stop_at(step):
    def callback(now, denoiser, history):
        if now == step:
            raise KeyboardInterrupt

    return dict(callback=callback, callback_every=1)


# --- Recipe ---


def test_a_recipe_survives_json():
    recipe = Recipe(**MLP, steps=7, lr=1e-4, zero_terminal=True)
    assert Recipe.from_json(recipe.to_json()) == recipe
    assert Recipe.from_json("{}") == Recipe()
    with pytest.raises(dataclasses.FrozenInstanceError):
        recipe.steps = 8


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"stepz": 3}', "a recipe's fields are data, .*; got stepz"),
        ("[1]", r"a recipe must be a JSON object; got \[1\]"),
        ("steps = 3", "a recipe must be a JSON object; "),
    ],
)
def test_json_that_is_no_recipe(text, message):
    with pytest.raises(ValueError, match=message):
        Recipe.from_json(text)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (dict(network="ResNet"), "network must be one of TinyUNet, MLP; got 'ResNet'"),
        (dict(schedule="warp"), "schedule must be one of linear, .*; got 'warp'"),
        (dict(schedule=["linear"]), "schedule must be one of linear"),
        (dict(predicts="score"), "predicts must be one of eps, x0, v; got 'score'"),
        (dict(precision="fp16"), "precision must be one of fp32, bf16; got 'fp16'"),
        (dict(arguments=[1]), r"arguments must be a dict .*; got \[1\]"),
        (dict(zero_terminal="no"), "zero_terminal must be true or false; got 'no'"),
        (dict(steps=0), "steps must be an integer of at least 1; got 0"),
        (dict(batch=2.0), "batch must be an integer of at least 1; got 2.0"),
        (dict(T=0), "T must be an integer of at least 1; got 0"),
        (dict(seed=-1), "seed must be an integer of at least 0; got -1"),
        (dict(min_snr=0), "min_snr must be None or a number above 0; got 0"),
        (
            dict(predicts="eps", zero_terminal=True),
            'zero_terminal must be false for predicts = "eps": at SNR 0',
        ),
        (dict(lr=0), "lr must be a number above 0; got 0"),
        (dict(lr="fast"), "lr must be a number above 0; got 'fast'"),
        (dict(lr=math.nan), "lr must be a number above 0; got nan"),
        (dict(weight_decay=-1), "weight_decay must be a number of at least 0; got -1"),
        (dict(ema_decay=1), r"ema_decay must be a number in \[0, 1\); got 1"),
        (dict(label_dropout=1.5), r"label_dropout must be a number in \[0, 1\); got 1.5"),
    ],
)
def test_a_recipe_refuses(fields, message):
    with pytest.raises(ValueError, match=message):
        Recipe(**fields)


def test_a_recipe_makes_its_schedule_and_its_network():
    recipe = Recipe(**UNET, schedule="linear", zero_terminal=True)
    assert recipe.make_schedule().T == 100 and recipe.make_schedule().signal[-1] == 0
    state = torch.get_rng_state()
    a, b = recipe.make_network().state_dict(), recipe.make_network().state_dict()
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(a[name], b[name]) for name in a)
    other = dataclasses.replace(recipe, seed=1).make_network().state_dict()
    assert not torch.equal(other["first.weight"], a["first.weight"])
    with pytest.raises(ValueError, match=r"arguments must be those of MLP; .*levels"):
        Recipe(network="MLP", arguments=dict(levels=2)).make_network()


# --- the parts ---


def test_the_learning_rate_goes_up_and_down():
    recipe = Recipe(steps=100, lr=0.5, warmup=0.1)
    rates = [training.learning_rate(step, recipe) for step in range(100)]
    assert rates[0] == pytest.approx(0.05) and max(rates) == rates[10] == 0.5
    assert rates[:10] == sorted(rates[:10]) and rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[55] == pytest.approx(0.25) and 0 < rates[-1] < 1e-3
    assert training.learning_rate(0, Recipe(steps=1, warmup=0)) == Recipe().lr


@pytest.mark.parametrize("T", [1, 7, 1000])
def test_t_is_uniform_from_1_to_T(T):
    generator = torch.Generator().manual_seed(0)
    t = torch.stack([training._draw_t(Recipe(T=T, batch=50), generator) for _ in range(2000)])
    counts = torch.bincount(t.flatten(), minlength=T + 1)
    assert counts[0] == 0 and len(counts) == T + 1
    expected = t.numel() / T
    assert ((counts[1:] - expected).abs() < 5 * math.sqrt(expected) + 1).all()
    assert (t[:, 1:] >= t[:, :-1]).all() or T == 1  # spread over the batch


def test_the_average_is_the_one_computed_by_hand():
    seen = []

    recipe = Recipe(**MLP, steps=8, ema_decay=0.3)
    original = torch.optim.AdamW.step

    def step(optimizer, *args, **kwargs):
        out = original(optimizer, *args, **kwargs)
        seen.append([w.detach().clone() for group in optimizer.param_groups for w in group["params"]])
        return out

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim.AdamW, "step", step)
        result = train(recipe, progress=False)
    average = seen[0]
    for n, now in enumerate(seen[1:], 1):
        d = min(0.3, (1 + n) / (10 + n))
        average = [d * a + (1 - d) * w for a, w in zip(average, now, strict=True)]
    for ours, expected in zip(result.denoiser.net.parameters(), average, strict=True):
        assert torch.allclose(ours, expected, rtol=0, atol=1e-6)
        assert not ours.requires_grad
    assert not result.denoiser.net.training


# --- a run ---


def test_a_short_run_learns_the_moons():
    recipe = Recipe(
        data="moons", network="MLP", arguments=dict(width=64), T=100, steps=300, batch=128, seed=3
    )
    history = train(recipe, progress=False).history
    assert history.t.shape == history.loss.shape == (300, 128)
    assert history.t.min() == 1 and history.t.max() == 100
    loss = history.per_step()
    assert loss.shape == (300,) and loss[-50:].mean() < 0.75 * loss[:5].mean()

    middle, per_t = history.per_t(100, bins=10, last=100)
    assert middle.tolist() == [5.5 + 10 * i for i in range(10)]
    first = history.t[-100:].flatten() <= 10
    assert per_t[0].item() == pytest.approx(history.loss[-100:].flatten()[first].mean().item(), rel=1e-5)


@pytest.mark.parametrize("predicts", ["eps", "x0", "v"])
def test_the_target_is_the_view_the_network_predicts(predicts):
    """A network that says 0 has the target itself as its error: E[ε²] = 1, E[x_0²], or their mix."""
    x0 = 0.5 * torch.randn(4000, 2, generator=torch.Generator().manual_seed(0)).clamp(-2, 2)
    recipe = Recipe(**MLP | dict(batch=4000), predicts=predicts, steps=1)
    history = train(recipe, x0, progress=False).history
    t, power = history.t[0].long(), x0.square().mean()
    schedule = recipe.make_schedule()
    expected = {"eps": 1.0, "x0": power, "v": schedule.signal[t] ** 2 + schedule.sigma[t] ** 2 * power}[
        predicts
    ]
    assert history.loss.mean() == pytest.approx(torch.as_tensor(expected).mean().item(), rel=0.05)


@pytest.mark.parametrize("predicts", ["eps", "x0", "v"])
def test_the_weights_of_the_squared_error(predicts):
    """The error in each view is the table's multiple of ‖x_0 − x̂_0‖²; min-SNR makes them the same."""
    recipe = Recipe(predicts=predicts, T=50, min_snr=5)
    schedule = recipe.make_schedule()
    generator, t = torch.Generator().manual_seed(0), torch.arange(1, 51)
    x0, noise, guess = torch.randn(3, 50, 4, generator=generator, dtype=torch.float64)
    x_t = forward.q_sample(x0, t, schedule, noise)
    truth, answer = Prediction.from_x0(x0, x_t, t, schedule), Prediction.from_x0(guess, x_t, t, schedule)
    error = (getattr(truth, predicts) - getattr(answer, predicts)).square().sum(1)
    in_x0, snr = (x0 - guess).square().sum(1), schedule.snr[1:]
    stated = {"eps": snr, "x0": torch.ones(50), "v": 1 + snr}[predicts]
    assert torch.allclose(error, stated * in_x0, rtol=1e-8)
    weighted = training.loss_weight(recipe, schedule)[1:] * error
    assert torch.allclose(weighted, torch.minimum(snr, torch.tensor(5.0)) * in_x0, rtol=1e-8)
    assert (training.loss_weight(dataclasses.replace(recipe, min_snr=None), schedule) == 1).all()


def test_v_is_the_preconditioning_of_karras_for_data_of_standard_deviation_1():
    """Karras et al. 2022, table 1: D = c_skip x + c_out F(c_in x), where x = x_0 + σ n."""
    schedule, t, s = schedules.cosine(50), torch.arange(1, 50), 1.0
    x_t, v = torch.randn(2, 49, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    sigma = (schedule.sigma / schedule.signal)[1:50, None]
    x = x_t / schedule.signal[1:50, None]
    c_skip, c_out = s**2 / (sigma**2 + s**2), sigma * s / (sigma**2 + s**2).sqrt()
    c_in, weight = 1 / (sigma**2 + s**2).sqrt(), (sigma**2 + s**2) / (sigma * s) ** 2
    assert torch.allclose(c_in * x, x_t)
    assert torch.allclose(Prediction.from_v(-v, x_t, t, schedule).x0, c_skip * x + c_out * v)
    assert torch.allclose(weight[:, 0], 1 + schedule.snr[1:50])


def test_min_snr_changes_the_run_and_not_what_is_measured():
    plain, digits = Recipe(**UNET, steps=3), tiny_digits()
    a, b = (
        train(recipe, digits, progress=False) for recipe in (plain, dataclasses.replace(plain, min_snr=5))
    )
    assert torch.equal(a.history.loss[0], b.history.loss[0])
    assert not torch.equal(a.history.loss[1:], b.history.loss[1:])
    assert "min_snr" not in plain.to_json() and '"min_snr": 5' in b.recipe.to_json()
    assert Recipe.from_json(b.recipe.to_json()) == b.recipe


def test_labels_may_be_a_list_or_an_array():
    recipe, (images, labels) = Recipe(**UNET, steps=2), tiny_digits()
    expected = train(recipe, (images, labels), progress=False)
    for same in (labels.tolist(), labels.numpy()):
        assert_same_run(train(recipe, (images, same), progress=False), expected)
    for wrong in ("3", ["3"] * 50):
        with pytest.raises(ValueError, match="label must be an integer in 0…9, or None; got"):
            train(recipe, (images, wrong), progress=False)


def test_images_from_0_to_1_are_warned_of():
    recipe, (images, labels) = Recipe(**UNET, steps=1), tiny_digits()
    with pytest.warns(UserWarning, match=r"data lie in \[0, 1\], .* train on 2 \* images - 1"):
        train(recipe, ((images + 1) / 2, labels), progress=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        train(recipe, (images, labels), progress=False)


def test_the_same_seed_gives_the_same_run_and_leaves_the_global_generator_alone():
    recipe, digits = Recipe(**UNET, steps=4), tiny_digits()
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = train(recipe, digits, progress=False)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)  # dropout, too, is the recipe's alone
    assert_same_run(first, train(recipe, digits, progress=False))
    other = train(dataclasses.replace(recipe, seed=1), digits, progress=False)
    assert not torch.equal(other.history.loss, first.history.loss)


@pytest.mark.parametrize("hidden", [0.0, 0.999])
def test_labels_are_dropped_as_often_as_the_recipe_says(hidden):
    recipe = Recipe(**UNET, steps=12, label_dropout=hidden, weight_decay=0)
    result = train(recipe, tiny_digits(), progress=False)
    start = result.recipe.make_network().condition.label.weight
    moved = (result.denoiser.net.condition.label.weight - start).abs().sum(1) > 0
    assert moved.tolist() == ([True] * 10 + [False] if hidden == 0 else [False] * 10 + [True])


def test_bf16_trains():
    result = train(Recipe(**UNET, steps=3, precision="bf16"), tiny_digits(), progress=False)
    assert result.history.loss.isfinite().all()
    assert all(weight.dtype == torch.float32 for weight in result.denoiser.net.parameters())


def test_the_callback_gets_a_denoiser_that_works():
    calls = []

    def callback(step, denoiser, history):
        calls.append(
            (step, history.step, denoiser(torch.zeros(2, 2), 50).x0.requires_grad, denoiser.net.training)
        )

    train(Recipe(**MLP, steps=25), callback=callback, callback_every=10, progress=False)
    assert calls == [(10, 10, False, False), (20, 20, False, False), (25, 25, False, False)]


@pytest.mark.parametrize(
    ("fields", "given", "message"),
    [
        (
            MLP | dict(data="stars"),
            None,
            "data must be one of digits, moons, .*, upscaling, or be given.*got 'stars'",
        ),
        (MLP, torch.full((4, 2), math.nan), "data must be finite"),
        (MLP, torch.zeros(4, 2, dtype=int), "data must be a floating-point tensor"),
        (MLP, torch.zeros(0, 2), "data must hold at least one example"),
        (MLP, torch.zeros(4, 3), r"x must be .*points \[B, 2\]"),
        (UNET, torch.zeros(4, 1, 8, 8), "data must come with labels: the recipe's network has 10 classes"),
        (
            UNET,
            (torch.full((4, 1, 8, 8), 255.0), torch.zeros(4)),
            r"data must be images in \[-1, 1\]; got values up to 255",
        ),
        (
            UNET,
            (torch.zeros(4, 1, 8, 8), torch.zeros(3, dtype=int)),
            r"label must have shape \[4\], .* got \[3\]",
        ),
        (UNET, (torch.zeros(4, 1, 8, 8), torch.full((4,), 10)), "label must be an integer in 0…9"),
        (UNET, (torch.zeros(4, 1, 8, 8), torch.full((4,), 0.5)), "label must be an integer in 0…9"),
        (
            UNET | dict(arguments=dict(width=8, levels=3)),
            torch.zeros(4, 1, 6, 6),
            "x's side must divide by 4",
        ),
    ],
)
def test_data_that_do_not_fit(fields, given, message):
    with pytest.raises(ValueError, match=message):
        train(Recipe(**fields, steps=1), given, progress=False)


def test_a_loss_that_explodes_is_reported():
    with pytest.raises(ValueError, match=r"lr = 1e\+30 must be lower: the loss is (nan|inf) at step"):
        train(Recipe(**MLP, steps=20, lr=1e30, weight_decay=0, warmup=0), progress=False)


@pytest.mark.parametrize("device", ["cuda", "mps", "warp"])
def test_a_device_that_is_not_there(device):
    if device in ("cuda", "mps") and getattr(torch, device).is_available():
        pytest.skip(f"{device} is there")
    with pytest.raises(ValueError, match=f"device must be one that this machine has; got '{device}'"):
        train(Recipe(**MLP), device=device)


# --- interruption and checkpoints ---


def test_interrupted_it_leaves_a_usable_model_and_the_history(capsys):
    result = train(Recipe(**MLP, steps=50), progress=False, **stop_at(20))
    assert result.interrupted and result.history.step == 20
    assert "Interrupted after 20 of 50 steps" in capsys.readouterr().out
    assert result.history.per_step().shape == (20,) and result.history.per_step().isfinite().all()
    assert result.history.per_t(100, bins=4)[1].isfinite().all()
    assert result.denoiser(torch.zeros(3, 2), 50).x0.isfinite().all()
    assert_same_run(result, train(Recipe(**MLP, steps=50), progress=False, **stop_at(20)))


def test_interrupted_at_once_it_still_answers(monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "q_sample", interrupt)
    result = train(Recipe(**MLP, steps=5), progress=False)
    assert result.interrupted and result.history.per_step().shape == (0,)
    assert result.denoiser(torch.zeros(3, 2), 50).x0.isfinite().all()


@pytest.mark.parametrize(("fields", "given"), [(MLP, None), (UNET, "digits")])
def test_a_resumed_run_is_bit_for_bit_the_run_that_was_never_stopped(tmp_path, fields, given):
    given = tiny_digits() if given else None
    recipe, file = Recipe(**fields, steps=20), tmp_path / "runs" / "a.checkpoint"
    straight = train(recipe, given, progress=False)
    # stopped at 13, the last checkpoint is of step 10: the steps after it are done again
    stopped = train(recipe, given, progress=False, checkpoint=file, checkpoint_every=5, **stop_at(13))
    assert stopped.interrupted
    torch.manual_seed(123)
    resumed = train(recipe, given, progress=False, checkpoint=file, resume=True)
    assert not resumed.interrupted
    assert_same_run(resumed, straight)
    assert_same_run(
        train(recipe, given, progress=False, checkpoint=file, resume=True), straight
    )  # nothing left to do


@pytest.fixture
def checkpoint(tmp_path):
    file = tmp_path / "a.checkpoint"
    train(Recipe(**MLP, steps=4), progress=False, checkpoint=file)
    return file


def test_a_checkpoint_is_plain_safetensors(checkpoint):
    tensors = safetensors.torch.load_file(checkpoint)
    assert {name.split(".")[0] for name in tensors} == {"net", "ema", "adam", "generator", "history"}
    assert [path.name for path in checkpoint.parent.iterdir()] == ["a.checkpoint"]  # no temporary left
    umask = os.umask(0)
    os.umask(umask)
    if os.name == "posix":
        assert checkpoint.stat().st_mode & 0o777 == 0o666 & ~umask


@pytest.mark.parametrize("when", ["fsync", "replace"])
def test_a_crash_while_writing_leaves_the_old_checkpoint(checkpoint, monkeypatch, when):
    before = checkpoint.read_bytes()

    def crash(*args):
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(os, when, crash)
        with pytest.raises(OSError, match="disk full"):
            train(Recipe(**MLP, steps=4, lr=1e-5), progress=False, checkpoint=checkpoint)
    assert checkpoint.read_bytes() == before
    assert [path.name for path in checkpoint.parent.iterdir()] == ["a.checkpoint"]


@pytest.mark.parametrize("keep", [0, 4, 100, 0.5, -1])
def test_a_truncated_checkpoint_is_named(checkpoint, keep):
    whole = checkpoint.read_bytes()
    checkpoint.write_bytes(whole[: int(keep * len(whole)) if keep == 0.5 else keep])
    with pytest.raises(
        ValueError, match=r"a\.checkpoint' must be a 'diffusion_lab checkpoint 1' file; reading it"
    ):
        train(Recipe(**MLP, steps=4), progress=False, checkpoint=checkpoint, resume=True)


def test_a_foreign_checkpoint_is_named(checkpoint):
    safetensors.torch.save_file({"a": torch.zeros(1)}, checkpoint)
    with pytest.raises(
        ValueError, match=r"a\.checkpoint' must be .* it is 'a safetensors file of other make'"
    ):
        train(Recipe(**MLP, steps=4), progress=False, checkpoint=checkpoint, resume=True)
    torch.save({"a": torch.zeros(1)}, checkpoint)
    with pytest.raises(ValueError, match=r"a\.checkpoint' must be .* reading it"):
        train(Recipe(**MLP, steps=4), progress=False, checkpoint=checkpoint, resume=True)


def test_a_checkpoint_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"gone' must be a 'diffusion_lab checkpoint 1' file; reading it"):
        train(Recipe(**MLP), progress=False, checkpoint=tmp_path / "gone", resume=True)
    with pytest.raises(ValueError, match="checkpoint must name the file to resume from; got None"):
        train(Recipe(**MLP), progress=False, resume=True)


def test_another_recipe_is_refused_by_the_field_that_differs(checkpoint):
    for change, theirs in (
        (dict(lr=0.5), "0.002"),
        (dict(arguments=dict(width=8)), r"\{'width': 16, 'depth': 1\}"),
    ):
        recipe = Recipe(**MLP | dict(steps=4) | change)
        (field,) = change
        with pytest.raises(
            ValueError, match=rf"a\.checkpoint' must be a run with {field} = .*; it has {theirs}"
        ):
            train(recipe, progress=False, checkpoint=checkpoint, resume=True)


def test_a_checkpoint_written_by_another_version_is_named(checkpoint):
    tensors = safetensors.torch.load_file(checkpoint)
    fields = json.loads(Recipe(**MLP, steps=4).to_json()) | {"flux": 1}
    metadata = {"format": checkpoints.FORMAT, "recipe": json.dumps(fields)}
    safetensors.torch.save_file(tensors, checkpoint, metadata)
    with pytest.raises(ValueError, match=r"a\.checkpoint' must be a run with flux = None, .* it has 1"):
        train(Recipe(**MLP, steps=4), progress=False, checkpoint=checkpoint, resume=True)


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_on_a_gpu_a_run_sees_the_same_batches_and_resumes(tmp_path, precision):
    recipe, digits = Recipe(**UNET, steps=20, precision=precision), tiny_digits()
    state = torch.cuda.get_rng_state()
    straight = train(recipe, digits, device="cuda", progress=False)
    assert torch.equal(torch.cuda.get_rng_state(), state)
    assert torch.equal(straight.history.t, train(recipe, digits, progress=False).history.t)
    file = tmp_path / "a.checkpoint"
    train(recipe, digits, device="cuda", progress=False, checkpoint=file, checkpoint_every=10, **stop_at(10))
    resumed = train(recipe, digits, device="cuda", progress=False, checkpoint=file, resume=True)
    assert torch.allclose(resumed.history.loss, straight.history.loss, rtol=0.05, atol=1e-3)
