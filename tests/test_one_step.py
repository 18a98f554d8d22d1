"""One step of denoising: the errors shown are the package's, and they tell the story that they should."""

import numpy as np
import pytest
import torch
from onscreen import run_code, shown

from diffusion_lab import data, exact, forward, pretrained
from diffusion_lab.experiments.one_step import GUESSES
from diffusion_lab.explorers.one_step import OneStep

FIRST, MIDDLE, LAST = 1, 189, 1000


def errors(explorer):
    """The three errors on the screen, in the order of GUESSES."""
    return [float(explorer.numbers[f"mse {who}"]) for who in GUESSES]


@pytest.mark.parametrize("source", ["held-out", "training"])
@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("t", [FIRST, MIDDLE, LAST])
def test_the_numbers_are_those_of_the_package(source, told, t):
    explorer = OneStep(source=source, told=told, t=t, index=57, seed=3)
    train, labels = data.digits()
    images, classes = data.digits({"held-out": "test", "training": "train"}[source])
    model, x0, label = pretrained.load("digits"), images[[57]], int(classes[57])
    noise = torch.randn(x0.shape, generator=torch.Generator().manual_seed(3))
    x_t = forward.q_sample(x0, explorer.t, model.schedule, noise)
    known = train[labels == label] if told else train
    gaussian = exact.GaussianMixture.fit(train, labels)
    denoisers = [
        model.given(label if told else None),
        exact.Empirical(known).denoiser(model.schedule),
        (gaussian.given(label) if told else gaussian).denoiser(model.schedule),
    ]
    guesses = [denoise(x_t, explorer.t).x0 for denoise in denoisers]
    direct = [(guess - x0).square().mean().item() for guess in guesses]
    assert errors(explorer) == pytest.approx(direct, rel=1e-2, abs=1e-5)
    snr = model.schedule.snr[explorer.t].item()
    assert float(explorer.numbers["SNR"]) == pytest.approx(snr, rel=1e-2)
    assert explorer.numbers["t"] == str(explorer.t) and explorer.t == pytest.approx(t, abs=8)

    for trace, picture in zip(("x_t", *GUESSES), (x_t, *guesses), strict=True):
        assert np.allclose(shown(explorer, trace, "z"), picture[0, 0], atol=1e-4)
    assert np.allclose(explorer.shown.traces["x_0"]["z"], x0[0, 0])
    assert shown(explorer, "at t", "y") == pytest.approx([max(e, 1e-5) for e in direct], rel=1e-2)


@pytest.mark.parametrize("source", ["held-out", "training"])
@pytest.mark.parametrize("told", [True, False])
def test_the_code_makes_what_is_on_the_screen(source, told):
    explorer = OneStep(source=source, told=told, index=200, t=300)
    assert errors(explorer) == pytest.approx(run_code(explorer)["shown"], rel=1e-2, abs=1e-5)


@pytest.mark.parametrize("told", [True, False])
def test_by_heart_is_exact_on_training_images_and_names_them(told):
    for index in (0, 100, 359):
        explorer = OneStep(source="training", told=told, index=index, t=30)
        for frame in explorer.shown.frames:
            row = frame.numbers
            if row["SNR"] > 100:
                assert row["mse by heart"] < 1e-3
                assert row["likeliest training image"] == index and row["its probability"] > 0.999
                assert "found x_0 itself" in frame.sentence


def test_the_network_beats_the_memory_on_held_out_images():
    some = [OneStep(index=index, t=MIDDLE) for index in range(0, 360, 24)]
    assert 8 < float(some[0].numbers["SNR"]) < 12
    network, by_heart, gaussian = np.mean([errors(explorer) for explorer in some], axis=0)
    assert network < by_heart / 2 and network < gaussian < by_heart


def test_by_heart_gives_back_the_training_image_it_names():
    explorer = OneStep(t=FIRST)
    named = data.digits()[0][int(explorer.numbers["likeliest training image"]), 0]
    assert np.allclose(shown(explorer, "by heart", "z"), named, atol=1e-5)
    x0, label = (part[explorer.index] for part in data.digits("test"))
    assert data.digits()[1][int(explorer.numbers["likeliest training image"])] == label
    assert float(explorer.numbers["mse by heart"]) == pytest.approx(
        (named - x0[0]).square().mean().item(), rel=1e-2
    )


@pytest.mark.parametrize("told", [True, False])
def test_without_a_trace_of_the_image_all_give_the_average(told):
    explorer = OneStep(told=told, t=LAST)
    train, labels = data.digits()
    known = train[labels == data.digits("test")[1][explorer.index]] if told else train
    assert np.allclose(shown(explorer, "by heart", "z"), known.mean(0)[0], atol=0.01)
    assert f"average of {'its class' if told else 'all digits'}" in explorer.frame.sentence
    for who in GUESSES:  # whenever the sentence says so, it is so, to a tenth of the grey scale's half
        for frame in explorer.shown.frames:
            if "average" in frame.sentence:
                assert (frame.changes[who]["z"] - known.mean(0)[0]).square().mean().sqrt() < 0.1
    assert float(explorer.numbers["its probability"]) == pytest.approx(1 / len(known), rel=0.05)


def test_times_are_dense_where_the_guesses_differ():
    times = OneStep().shown.positions
    snr = pretrained.load("digits").schedule.snr[times]
    assert 55 <= len(times) <= 65 and (times[0], times[-1]) == (1, 1000)
    assert ((snr < 110) & (snr > 0.09)).sum() >= 40


@pytest.mark.parametrize("name", ["source", "index", "told", "seed", "t"])
def test_works_at_both_ends_of_every_control(name):
    control = OneStep.controls[name]
    for value in (control.values[0], control.values[-1]):
        explorer = OneStep(**{name: value})
        assert explorer._error == "" and all(explorer.numbers.values())
        assert all(f"{key} = {number}" in explorer.describe() for key, number in explorer.numbers.items())
        assert len(explorer._scene) < 1e6


def test_is_pure():
    a, b = OneStep(index=5), OneStep(index=5)
    torch.manual_seed(1)
    state = torch.get_rng_state()
    assert a.scene(**a.values()).to_json() == b.scene(**b.values()).to_json()
    assert torch.equal(torch.get_rng_state(), state)


def test_the_sentence_names_the_smallest_error():
    for explorer in (
        OneStep(index=27),
        OneStep(index=130, told=False),
        OneStep(source="training", told=False),
    ):
        for frame in explorer.shown.frames:
            row, said = frame.numbers, frame.sentence
            if "Closest to the truth: " in said:
                named = said.split("Closest to the truth: ")[1].rstrip(".").split(" and ")
                assert {row[f"mse {who}"] for who in named} == {min(row[f"mse {who}"] for who in GUESSES)}
