"""Recordings of training runs: they are real, and near what is exact. And the explorer that replays them."""

import dataclasses
import itertools

import numpy as np
import pytest
import torch
from close import assert_close
from onscreen import run_code

from diffusion_lab import data, pretrained, replay, samplers
from diffusion_lab.engine import STATE
from diffusion_lab.experiments.replayed import in_blocks, known
from diffusion_lab.explorers import TrainingReplay
from diffusion_lab.recipe import Recipe
from diffusion_lab.training import train

SHORT = Recipe(data="mixture", network="MLP", arguments=dict(width=16, depth=1), steps=60, batch=64, lr=1e-2)
FIELDS = [field.name for field in dataclasses.fields(replay.Recording) if field.name != "recipe"]


@pytest.fixture(scope="module", params=["eps", "x0", "v"])
def short(request):
    """(recording, result) of a run of a second, for each view that a network can predict."""
    recipe = dataclasses.replace(SHORT, predicts=request.param)
    recorder = replay.Recorder(recipe)
    result = train(recipe, callback=recorder, callback_every=10, progress=False)
    return recorder.recording(), result


@pytest.fixture(scope="module")
def grey():
    """The recording of a run on images of one's own, without classes."""
    images = torch.rand(30, 1, 4, 4, generator=torch.Generator().manual_seed(0)) * 2 - 1
    recipe = Recipe(data="mine", arguments=dict(width=8, levels=1), steps=12, batch=8, T=50)
    recorder = replay.Recorder(recipe, images)
    train(recipe, images, callback=recorder, callback_every=5, progress=False)
    return recorder.recording()


def mean_square_score(t: int, schedule) -> float:
    """E|∇ log q_t(x)|² per coordinate, for the mixture, by autograd and a sum over a fine grid."""
    ticks = torch.linspace(-6, 6, 601, dtype=torch.float64)
    x = torch.cartesian_prod(ticks, ticks).requires_grad_()
    log_prob = data.toy_mixture().noised(t, schedule).log_prob(x)
    score = torch.autograd.grad(log_prob.sum(), x)[0]
    q = log_prob.detach().exp() * (ticks[1] - ticks[0]) ** 2
    assert_close(q.sum(), torch.ones((), dtype=torch.float64), atol=1e-6)
    return (q[:, None] * score.square()).sum().item() / 2


class TestShipped:
    @pytest.mark.parametrize("name", replay.RECIPES)
    def test_the_first_steps_of_training_give_the_recorded_checkpoints(self, name):
        shipped, recorder = replay.load(name), replay.Recorder(replay.RECIPES[name])

        def stop_at_20(step, denoiser, history):
            recorder(step, denoiser, history)
            if step == 20:
                raise KeyboardInterrupt

        train(replay.RECIPES[name], callback=stop_at_20, callback_every=10, progress=False)
        again = recorder.recording()
        assert shipped.recipe == again.recipe == replay.RECIPES[name]
        assert again.steps.tolist() == shipped.steps[:3].tolist() == [0, 10, 20]
        assert torch.equal(shipped.times, again.times)
        assert_close(again.per_step, shipped.per_step[:20], rtol=0.01)
        tables = ["loss", "samples"] + ["floor", "error", "score"] * (shipped.floor is not None)
        for table in tables:
            ours, theirs = getattr(again, table), getattr(shipped, table)
            theirs = theirs if table == "floor" else theirs[:3]
            assert_close(ours, theirs, rtol=0.01, atol=0.01)
        assert not torch.allclose(again.samples[2], shipped.samples[1], rtol=0.01, atol=0.01), "nothing moved"

    @pytest.mark.parametrize("name", replay.RECIPES)
    def test_many_checkpoints_more_of_them_at_first(self, name):
        run = replay.load(name)
        assert 24 <= len(run.steps) <= 40 and run.steps[0] == 0 and run.steps[-1] == run.recipe.steps
        assert len(run.per_step) == run.recipe.steps
        gaps = run.steps.diff()
        assert (gaps > 0).all() and gaps[-2] > 5 * gaps[0]
        assert all(
            getattr(run, table).isfinite().all() for table in FIELDS if getattr(run, table) is not None
        )

    @pytest.mark.parametrize("name", replay.RECIPES)
    def test_the_loss_falls(self, name):
        run = replay.load(name)
        mean = run.loss.mean(1)
        assert mean[-1] == pytest.approx(mean.min().item(), rel=0.01) and mean[-1] < 0.7 * mean[0]
        assert (run.loss[-1] < run.loss[0]).all()

    def test_they_are_small(self):
        sizes = [path.stat().st_size for path in pretrained.FOLDER.glob("*.replay.safetensors")]
        assert len(sizes) == len(replay.RECIPES) and sum(sizes) <= 300_000

    def test_the_notebook_trains_by_the_same_recipe_as_the_digits(self):
        import nbformat
        from nbtools import NOTEBOOKS

        cells = nbformat.read(NOTEBOOKS / "07_unet.ipynb", as_version=4).cells
        (cell,) = [c for c in cells if c.cell_type == "code" and "recipe = training.Recipe(" in c.source]
        variables = {}
        exec(cell.source, variables)
        assert variables["recipe"] == replay.RECIPES["digits"]


class TestMixture:
    """What is known exactly."""

    def test_the_loss_is_the_floor_and_the_error(self):
        """E‖v − v̂‖² = E‖v − E[v|x_t]‖² + E‖E[v|x_t] − v̂‖²: the two differences are orthogonal."""
        run = replay.load("mixture")
        assert_close(run.loss.mean(1), run.floor.mean() + run.error.mean(1), rtol=0.01)
        assert_close(run.loss, run.floor + run.error, atol=0.03)
        assert (run.floor > 0.2).all()

    def test_the_floor_is_that_of_the_fisher_information(self):
        """ε = −σ · score in the mean, so E‖ε − E[ε|x_t]‖² = 1 − σ² E‖score‖²; and the error in v is 1/signal
        times that in ε."""
        run = replay.load("mixture")
        schedule = run.recipe.make_schedule()
        for i, t in list(enumerate(run.times.tolist()))[::3]:
            signal, sigma = schedule.signal[t].item(), schedule.sigma[t].item()
            floor = (1 - sigma**2 * mean_square_score(t, schedule)) / signal**2
            assert run.floor[i].item() == pytest.approx(floor, rel=0.06)

    def test_what_is_learned_is_the_score(self):
        run = replay.load("mixture")
        for j, t in enumerate(run.times[replay.SCORED].tolist()):
            exact = data.toy_mixture().noised(t, run.recipe.make_schedule())
            weight = exact.log_prob(replay.PLANE).softmax(0)[:, None]
            off = [
                (weight * (score - exact.score(replay.PLANE)).square()).sum().sqrt()
                for score in run.score[:, j]
            ]
            assert off[-1] < 0.25 * off[0]

    def test_large_t_is_learned_first(self):
        """A tenth of the first error is left for more checkpoints where t is small than where it is not."""
        run = replay.load("mixture")
        left = (run.error > 0.1 * run.error[0]).sum(0)
        assert left[:3].min() > left[5:15].max() + 3

    def test_samples_come_to_the_data(self):
        run, truth = replay.load("mixture"), data.toy_mixture()
        near = [
            (
                truth.log_prob(x)
                > truth.log_prob(truth.sample(2000, torch.Generator().manual_seed(0))).quantile(0.01)
            )
            .double()
            .mean()
            .item()
            for x in run.samples.double()
        ]
        assert near[0] < 0.2 and near[-1] > 0.85


class TestRecorder:
    def test_untrained_a_v_network_takes_the_data_for_noise(self):
        recorder = replay.Recorder(SHORT)
        run, schedule = recorder.recording(), SHORT.make_schedule()
        times = samplers.timesteps(schedule, 20)
        kept = [
            schedule.signal[t] * schedule.signal[s] + schedule.sigma[t] * schedule.sigma[s]
            for t, s in itertools.pairwise(times)
        ]  # x̂_0 = signal x_t, ε̂ = sigma x_t
        assert_close(run.samples[0], recorder.x_T * float(np.prod(kept)), atol=1e-5)
        assert_close(run.score[0], (-replay.PLANE).expand_as(run.score[0]), atol=1e-4)
        assert len(run.per_step) == 0 and run.steps.tolist() == [0]
        TrainingReplay(run=run)  # a run that was stopped at once can be shown

    def test_the_rows_of_images_start_from_one_noise(self):
        rows = replay.load("digits").samples[0].unflatten(0, (2, 10))
        assert_close(rows, rows[:, :1].expand_as(rows), atol=1e-3)
        assert (rows[0, 0] - rows[1, 0]).abs().max() > 1

    def test_it_does_not_disturb_the_training(self, short):
        recording, result = short
        alone = train(result.recipe, progress=False)
        for ours, theirs in zip(
            result.denoiser.net.parameters(), alone.denoiser.net.parameters(), strict=True
        ):
            assert torch.equal(ours, theirs)
        assert_close(recording.per_step, alone.history.per_step())

    def test_the_last_checkpoint_is_the_trained_network(self, short):
        recording, result = short
        t = recording.times[replay.SCORED][2].item()
        assert_close(recording.score[-1, 2], result.denoiser(replay.PLANE, t).score.detach(), atol=1e-4)
        assert recording.steps.tolist() == [0, 10, 20, 30, 40, 50, 60]

    def test_the_loss_is_that_of_training(self):
        run = replay.load("mixture")
        assert run.loss[-1].mean().item() == pytest.approx(run.per_step[-300:].mean().item(), rel=0.03)

    def test_what_is_saved_is_loaded_again(self, short, grey, tmp_path):
        for recording in (short[0], grey):
            recording.save(tmp_path / "run")
            loaded = replay.Recording.load(tmp_path / "run")
            assert loaded.recipe == recording.recipe
            for table in FIELDS:
                ours, theirs = getattr(loaded, table), getattr(recording, table)
                assert (ours is None) == (theirs is None)
                if ours is not None:
                    assert_close(ours, theirs.clamp(-60_000, 60_000), rtol=1e-3, atol=1e-4)

    def test_what_is_no_recording_is_said(self, tmp_path):
        with pytest.raises(ValueError, match="name must be one of mixture, digits; got 'moons'"):
            replay.load("moons")
        with pytest.raises(ValueError, match="must be a 'diffusion_lab replay 1' file; reading it"):
            replay.load("digits", tmp_path)
        with pytest.raises(
            ValueError, match="must be a 'diffusion_lab replay 1' file; it is 'diffusion_lab weights 1'"
        ):
            replay.Recording.load(pretrained.FOLDER / "moons.safetensors")

    def test_data_that_cannot_be_shown_are_refused(self):
        with pytest.raises(
            ValueError, match=r'data must be grey images .* or the "mixture"; got shape \[100000, 2\]'
        ):
            replay.Recorder(dataclasses.replace(SHORT, data="moons"))
        recipe = Recipe(data="mine", arguments=dict(channels=3, width=8))
        with pytest.raises(ValueError, match=r"got shape \[5, 3, 8, 8\]"):
            replay.Recorder(recipe, torch.zeros(5, 3, 8, 8))


def test_what_only_the_mixture_knows_is_asked_of_it_alone():
    floor, error, score = known(replay.load("mixture"))
    assert error.shape[1:] == floor.shape and len(score) == len(error)
    with pytest.raises(ValueError, match="run must have floor, error and score"):
        known(replay.load("digits"))


class TestExplorer:
    @pytest.mark.parametrize("t", TrainingReplay.controls["t"].values)
    def test_the_numbers_of_the_mixture(self, t):
        explorer, run = TrainingReplay(t=t, step=100), replay.load("mixture")
        k, schedule = run.steps.tolist().index(100), run.recipe.make_schedule()
        said = {name: float(number) for name, number in explorer.numbers.items()}
        assert said["training steps"] == 100 == explorer.step
        assert said["loss"] == pytest.approx(run.loss[k].mean().item(), rel=1e-2)
        assert said["loss of the exact denoiser"] == pytest.approx(run.floor.mean().item(), rel=1e-2)
        assert said["still to learn"] == pytest.approx(
            said["loss"] - said["loss of the exact denoiser"], abs=0.005
        )
        assert said["rms exact score"] ** 2 == pytest.approx(mean_square_score(t, schedule), rel=0.05)
        assert t in run.times[replay.SCORED]

    def test_the_error_of_the_score_is_the_networks(self, short):
        recording, result = short
        explorer = TrainingReplay(run=recording, t=375, step=60)
        generator, schedule = torch.Generator().manual_seed(5), result.recipe.make_schedule()
        exact = data.toy_mixture().noised(375, schedule)
        x_t = exact.sample(20_000, generator).float()
        error = (result.denoiser(x_t, 375).score - exact.score(x_t)).square().mean().sqrt().item()
        assert float(explorer.numbers["rms error of the score"]) == pytest.approx(error, rel=0.06)

    def test_the_numbers_of_the_digits(self):
        explorer, run = TrainingReplay(source="digits", step=100), replay.load("digits")
        k = run.steps.tolist().index(100)
        said = {name: float(number) for name, number in explorer.numbers.items()}
        assert said["loss"] == pytest.approx(run.loss[k].mean().item(), rel=1e-2)
        for t in (25, 475, 975):
            loss = run.loss[k, run.times.tolist().index(t)].item()
            assert said[f"loss at t = {t}"] == pytest.approx(loss, rel=1e-2)
        first = run.samples[k].reshape(2, 10, 64).numpy()
        assert said["rms between classes"] == pytest.approx(np.sqrt(first.var(1).mean()), rel=1e-2)

    @pytest.mark.parametrize("source", replay.RECIPES)
    def test_the_code_gives_what_is_on_the_screen(self, source):
        explorer = TrainingReplay(source=source, step=300)
        found, changes, numbers = run_code(explorer), explorer.frame.changes, explorer.frame.numbers
        loss, *floor, samples = found["shown"][: 2 if source == "digits" else 3]
        assert loss.mean().item() == pytest.approx(numbers["loss"], rel=1e-6)
        assert torch.equal(loss, changes["loss"]["y"])
        if source == "digits":
            sheet = changes["samples"]["z"]
            assert np.allclose(sheet[:8, :8], samples[0, 0]) and np.allclose(sheet[9:, -8:], samples[-1, 0])
            assert np.isnan(sheet[8]).all()
            apart = found["shown"][2].item()
            assert apart == pytest.approx(numbers["rms between classes"], abs=1e-4)
        else:
            assert torch.equal(torch.stack([changes["samples"]["x"], changes["samples"]["y"]], 1), samples)
            assert floor[0].mean().item() == pytest.approx(numbers["loss of the exact denoiser"], rel=1e-6)
            size, error = found["shown"][3:]
            assert size == pytest.approx(numbers["rms exact score"], rel=1e-6)
            assert error.item() == pytest.approx(numbers["rms error of the score"], rel=1e-6)

    @pytest.mark.parametrize("t", [75, 225, 975])
    def test_both_fields_are_drawn_to_one_scale(self, t):
        """At the end the learned arrows lie on the exact ones; at first they are −x on the same scale."""
        explorer = TrainingReplay(t=t)
        exact, frames = explorer.shown.traces["exact score"], explorer.shown.frames
        ends = [
            np.stack([arrow["x"], arrow["y"]], 1).reshape(-1, 6, 2)[:, :2]
            for arrow in (exact, *(frame.changes["learned score"] for frame in (frames[0], frames[-1])))
        ]
        truth, first, last = (pair[:, 1] - pair[:, 0] for pair in ends)
        assert np.allclose(ends[0][:, 0], replay.PLANE) and np.allclose(ends[1][:, 0], replay.PLANE)
        noised = data.toy_mixture().noised(t, replay.load("mixture").recipe.make_schedule())
        score = noised.score(replay.PLANE).numpy()
        scale = (truth * score).sum() / (score**2).sum()
        assert np.allclose(truth, scale * score, atol=1e-4)
        assert np.allclose(first, -scale * replay.PLANE.numpy(), atol=1e-3)
        near = noised.log_prob(replay.PLANE).softmax(0).numpy()
        assert (near * ((last - truth) ** 2).sum(1)).sum() < 0.05 * (near * (truth**2).sum(1)).sum()

    def test_the_marker_and_the_curve_follow_the_slider(self):
        run, explorer = replay.load("mixture"), TrainingReplay()
        for k, frame in enumerate(explorer.shown.frames):
            curve, marker = frame.changes["loss"], frame.changes["now"]
            assert torch.equal(torch.as_tensor(curve["y"]), run.loss[k])
            assert marker["x"][0] == run.steps[k] + 1 and float(marker["y"][0]) == pytest.approx(
                run.loss[k].mean().item()
            )

    def test_the_sentence_is_true(self):
        run, explorer = replay.load("mixture"), TrainingReplay()
        every = [frame.sentence for frame in explorer.shown.frames]
        for k, said in enumerate(every):
            error = run.error[k].numpy()
            if "%" in said:
                assert round(100 * error[:6].sum() / error.sum()) == int(said.partition("%")[0])
                assert run.times[5] <= 300 < run.times[6]
            if "No denoiser" in said:
                assert run.loss[k].mean() < 1.03 * run.floor.mean()
        assert "N(0, I)" in every[0] and "No denoiser" in every[-1]
        said = [frame.sentence for frame in TrainingReplay(source="digits").shown.frames]
        assert "mean of v²" in said[0] and "still alike" in said[1] and "differ by class" in said[-1]
        assert "100% at t = 975 and 100% at t = 25" in said[-1]

    def test_a_run_of_ones_own(self, short):
        recording, _ = short
        explorer = TrainingReplay(run=recording, step=60)
        assert explorer.source == "this run" and explorer.step == 60
        found = run_code(explorer, recorder=type("Recorder", (), {"recording": lambda self: recording})())
        assert found["run"] is recording
        assert STATE not in explorer._repr_mimebundle_()[0], "nobody can draw it again"
        explorer.source = "digits"
        assert explorer.numbers == TrainingReplay(source="digits", step=explorer.step).numbers
        assert explorer._repr_mimebundle_()[0][STATE]["values"]["source"] == "digits"
        explorer.source = "this run"
        assert explorer._error == ""
        assert TrainingReplay(run=recording, source="mixture").numbers == TrainingReplay().numbers
        assert TrainingReplay.controls["source"].values == ["mixture", "digits"], "only this one knows it"
        with pytest.raises(Exception, match="expected one of"):
            TrainingReplay(source="this run")
        with pytest.raises(ValueError, match="run must be a Recording"):
            TrainingReplay(run="mixture")

    def test_images_of_ones_own_without_classes(self, grey):
        explorer = TrainingReplay(run=grey, step=12)
        assert grey.samples.shape == (len(grey.steps), 20, 1, 4, 4)
        assert "rms between classes" not in explorer.numbers and "class" not in explorer.describe()
        assert float(explorer.numbers["loss"]) == pytest.approx(grey.loss[-1].mean().item(), rel=1e-2)

    def test_blocks_keep_the_mean(self):
        loss = np.random.default_rng(0).random(2000)
        first, mean = in_blocks(loss)
        length = np.diff(first, append=2001)
        assert first[0] == 1 and len(first) < 100
        assert (length * mean).sum() / 2000 == pytest.approx(loss.mean())
        assert length[-2] > 50 * length[0]

    def test_it_is_quick_and_small(self):
        for source in replay.RECIPES:
            assert len(TrainingReplay(source=source)._scene) < 6e5
