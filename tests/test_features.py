import pytest
import torch

from diffusion_lab import data, features, pretrained


@pytest.fixture(scope="module")
def classifier():
    return features.load()


def test_held_out_digits_are_recognised(classifier):
    assert features.accuracy(classifier, *data.digits("test")) >= 0.98


def test_features_and_probabilities_are_what_their_docstrings_say(classifier):
    images, labels = data.digits("train")
    found, p = classifier.features(images), classifier.probabilities(images)
    assert found.shape == (len(images), features.N_FEATURES)
    assert found.square().mean().item() == pytest.approx(1, rel=1e-3)
    assert (found.std(0) > 0.05).sum() >= features.N_FEATURES - 1, "at most one feature is dead"
    torch.testing.assert_close(p.sum(1), torch.ones(len(images)))
    assert (p.argmax(1) == labels).float().mean() > 0.99
    # scaling the features leaves the classifier what it was
    plain = classifier.last(classifier.body(images))
    torch.testing.assert_close(classifier(images), plain, rtol=1e-4, atol=1e-4)


def test_the_weights_are_few_ask_for_no_gradient_and_pass_one_on(classifier):
    assert sum(w.numel() for w in classifier.parameters()) <= 60_000
    assert (pretrained.FOLDER / "classifier.safetensors").stat().st_size < 120_000
    assert not classifier.training and not any(w.requires_grad for w in classifier.parameters())
    images = data.digits("test")[0][:3].double().requires_grad_()
    classifier.features(images).sum().backward()
    assert (images.grad.flatten(1).norm(dim=1) > 0).all()


def test_training_is_reproducible_and_draws_nothing_from_the_callers_generator():
    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    first, again, other = (features.train(20, seed, progress=False) for seed in (0, 0, 1))
    assert torch.equal(torch.random.get_rng_state(), before)
    for name, value in first.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])
    assert not torch.equal(first.last.weight, other.last.weight)


def test_training_never_asks_for_the_held_out_digits(monkeypatch):
    asked, digits = [], data.digits
    monkeypatch.setattr(features.data, "digits", lambda split="train": asked.append(split) or digits(split))
    features.train(1, progress=False)
    assert asked == ["train"]


def test_it_learns_and_is_stored_as_it_is(tmp_path):
    images, labels = data.digits("test")
    little, more = (features.train(steps, progress=False) for steps in (1, 100))
    assert features.accuracy(little, images, labels) < 0.5 < 0.9 < features.accuracy(more, images, labels)
    features.save(more, tmp_path)
    loaded = features.load(tmp_path)
    torch.testing.assert_close(loaded.features(images), more.features(images), rtol=0, atol=0.02)
    path = tmp_path / "classifier.safetensors"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ValueError, match=r"must be a 'diffusion_lab classifier 1' file; reading it"):
        features.load(tmp_path)
    with pytest.raises(ValueError, match="reading it"):
        features.load(tmp_path / "elsewhere")


def test_the_classifier_is_no_denoiser_that_pretrained_offers():
    assert "classifier" not in pretrained.names()


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.zeros(3, 64), r"images must have shape \[N, 1, 8, 8\]; got \[3, 64\]"),
        (torch.zeros(3, 1, 16, 16), r"got \[3, 1, 16, 16\]"),
        (torch.zeros(3, 1, 8, 8, dtype=torch.uint8), "images must be a floating-point tensor"),
        (torch.full((3, 1, 8, 8), torch.nan), "images must be finite"),
    ],
)
def test_other_images_are_refused(classifier, images, message):
    for ask in (classifier, classifier.features, classifier.probabilities):
        with pytest.raises(ValueError, match=message):
            ask(images)


def test_steps_must_be_a_number():
    with pytest.raises(ValueError, match="steps must be an integer of at least 1; got 0"):
        features.train(0)
