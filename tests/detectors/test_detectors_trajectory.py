"""The sequence networks against recurrences written out, and how they are trained."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
import pytest
import torch

from support.clouds import CLASSES, LAYERS, few, known, mixed
from telltale.detectors import sequence_networks
from telltale.detectors.sequence_networks import HIDDEN_UNITS, build_network, train_network
from telltale.detectors.trajectory import RUNNING_SUSPICION, TrajectoryDetector


@functools.cache
def fitted(architecture: str) -> TrajectoryDetector:
    return TrajectoryDetector(architecture=architecture, epochs=20).fit(*few())


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def lstm_by_hand(weights: dict[str, np.ndarray], sequences: np.ndarray) -> np.ndarray:
    """Logit after every step: input, forget, cell and output gate in this order (Hochreiter & Schmidhuber)."""
    count, steps, _ = sequences.shape
    hidden, cell = np.zeros((count, HIDDEN_UNITS)), np.zeros((count, HIDDEN_UNITS))
    logits = np.empty((count, steps))
    for step in range(steps):
        gates = sequences[:, step] @ weights["lstm.weight_ih_l0"].T + weights["lstm.bias_ih_l0"]
        gates = gates + hidden @ weights["lstm.weight_hh_l0"].T + weights["lstm.bias_hh_l0"]
        enter, forget, content, leave = np.split(gates, 4, axis=1)
        cell = sigmoid(forget) * cell + sigmoid(enter) * np.tanh(content)
        hidden = sigmoid(leave) * np.tanh(cell)
        logits[:, step] = (hidden @ weights["head.weight"].T + weights["head.bias"])[:, 0]
    return logits


def sequences_by_hand(detector: TrajectoryDetector, evidence) -> np.ndarray:
    """Distances standardised over the natural images that the detector was fitted on."""
    fit_evidence, labels = few()
    natural = fit_evidence.trajectory(detector.pivot, detector.distance)[~labels.adversarial].astype(np.float64)
    raw = evidence.trajectory(detector.pivot, detector.distance).astype(np.float64)
    return (raw - natural.mean(0)) / natural.std(0)


def weights_of(detector: TrajectoryDetector) -> dict[str, np.ndarray]:
    return {k.removeprefix("network."): v for k, v in detector.arrays().items() if k.startswith("network.")}


def test_the_lstms_scores_equal_recurrences_in_numpy() -> None:
    evidence = mixed(known(), 10, 2)[0]
    detector = fitted("lstm")
    logits = lstm_by_hand(weights_of(detector), sequences_by_hand(detector, evidence))
    np.testing.assert_allclose(detector.score(evidence), logits[:, -1], atol=1e-5)
    np.testing.assert_allclose(detector.running_scores(evidence), logits, rtol=1e-4, atol=1e-4)


def test_the_perceptrons_scores_equal_two_matrix_products() -> None:
    evidence = mixed(known(), 10, 2)[0]
    detector = fitted("mlp")
    weights = weights_of(detector)
    flat = sequences_by_hand(detector, evidence).reshape(len(evidence), -1)
    units = np.maximum(flat @ weights["body.1.weight"].T + weights["body.1.bias"], 0.0)
    assert units.shape[1] == 100
    expected = units @ weights["body.4.weight"].T + weights["body.4.bias"]
    np.testing.assert_allclose(detector.score(evidence), expected[:, 0], atol=1e-5)


def test_the_last_running_score_is_the_score_and_the_perceptron_has_none() -> None:
    evidence = mixed(known(), 10, 2)[0]
    running = fitted("lstm").running_scores(evidence)
    assert running.shape == (len(evidence), len(LAYERS))
    np.testing.assert_allclose(running[:, -1], fitted("lstm").score(evidence), rtol=1e-5, atol=1e-6)
    assert fitted("mlp").running_scores(evidence) is None


def test_the_running_suspicion_belongs_to_the_chosen_lstm_or_to_one_of_its_settings() -> None:
    evidence, labels = few()
    assert fitted("lstm").companions(evidence, labels) == {RUNNING_SUSPICION: fitted("lstm")}
    running = fitted("mlp").companions(evidence, labels)[RUNNING_SUSPICION]
    assert isinstance(running, TrajectoryDetector)
    assert running.settings == replace(fitted("mlp").settings, architecture="lstm")
    assert running.running_scores(evidence) is not None


@pytest.mark.parametrize("architecture", ["lstm", "mlp"])
def test_networks_are_drawn_from_their_seed_and_leave_the_global_state_alone(architecture) -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    first, again, other = (build_network(architecture, 3, CLASSES, seed).state_dict() for seed in (0, 0, 1))
    assert torch.equal(torch.rand(2), expected)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def trained(monkeypatch, held_out, epochs=6, weights=None, count=400):
    """Train on random sequences and return the rows that each step saw."""
    draws = np.random.default_rng(0)
    sequences = draws.normal(size=(count, 3, CLASSES)).astype(np.float32)
    adversarial = np.arange(count) >= count // 4
    seen: list[np.ndarray] = []
    step = sequence_networks._step

    def watch(network, optimiser, inputs, targets, batch):
        assert network.training
        seen.append(batch.numpy())
        step(network, optimiser, inputs, targets, batch)

    monkeypatch.setattr(sequence_networks, "_step", watch)
    network = build_network("mlp", 3, CLASSES, 0)
    weights = np.ones(count) if weights is None else weights
    best = train_network(network, sequences, adversarial, weights, held_out, epochs, seed=0)
    return network, best, seen, adversarial


def test_batches_are_drawn_by_weight(monkeypatch) -> None:
    # 100 natural and 300 adversarial images, weighted to one half each; one natural image is never drawn.
    weights = np.where(np.arange(400) < 100, 1 / 100, 1 / 300)
    weights[7] = 0.0
    network, _, seen, adversarial = trained(monkeypatch, lambda _: 0.0, epochs=20, weights=weights)
    rows = np.concatenate(seen)
    assert len(rows) == 20 * 400
    assert max(len(batch) for batch in seen) == 128
    assert 7 not in rows
    assert adversarial[rows].mean() == pytest.approx(0.5, abs=0.03)
    assert not network.training


def test_the_best_epochs_weights_are_kept(monkeypatch) -> None:
    states, qualities = [], iter([0.1, 0.7, 0.9, 0.9, 0.3, 0.2])

    def held_out(network) -> float:
        assert not network.training
        states.append({name: value.clone() for name, value in network.state_dict().items()})
        return next(qualities)

    network, best, _, _ = trained(monkeypatch, held_out)
    assert best == 3  # the first of the two that tie
    assert all(torch.equal(value, states[2][name]) for name, value in network.state_dict().items())
    assert not all(torch.equal(value, states[5][name]) for name, value in network.state_dict().items())


def test_training_stops_once_nothing_better_comes(monkeypatch) -> None:
    monkeypatch.setattr(sequence_networks, "PATIENCE", 4)
    calls = []
    trained(monkeypatch, lambda _: calls.append(1) or (1.0 if len(calls) == 2 else 0.0), epochs=50)
    assert len(calls) == 6


def test_the_held_out_images_are_never_trained_on(monkeypatch) -> None:
    evidence, labels = few()
    seen = []

    def watch(network, sequences, adversarial, weights, held_out, epochs, seed):
        seen.append((sequences, adversarial, weights))
        network.eval()
        return 1

    monkeypatch.setattr(sequence_networks, "train_network", watch)
    detector = TrajectoryDetector(epochs=1).fit(evidence, labels)
    rows, held = next(labels.folds())
    sequences, adversarial, weights = seen[0]
    np.testing.assert_allclose(sequences, sequences_by_hand(detector, evidence)[rows], atol=1e-5)
    np.testing.assert_array_equal(adversarial, labels.adversarial[rows])
    np.testing.assert_array_equal(weights, labels.balanced_weights()[rows])
    assert not set(labels.groups[rows]) & set(labels.groups[held])
