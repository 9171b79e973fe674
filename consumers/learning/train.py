"""Train the LSTM: 60 sessions of features in, one number to rank names by out.

The label is the market-relative return of the next five sessions, standardised per date.  Dates are
split in time, with the horizon purged between training and validation.  The loss ranks: one minus
the correlation within a date.  Needs the extra ``train`` (torch); nothing else imports this module.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from consumers.learning.estimate import rank
from consumers.learning.panel import Panel
from schemas.errors import Misconfigured
from schemas.model_features import (
    CLIP,
    FEATURES,
    HISTORY_SESSIONS,
    NOISE_SD,
    features_of,
)

Floats = npt.NDArray[np.float32]

HORIZON: Final = 5
HIDDEN: Final = 48
STRIDE: Final = 2
"""Every second date is used: neighbours share 59 of 60 steps."""

VALIDATION_SHARE: Final = 0.25
LEARNING_RATE: Final = 2e-3
LABEL_CLIP: Final = 3.0
DATES_MIN: Final = 20
THREADS: Final = 2
SPREAD_MIN: Final = 1e-6


class Sample(NamedTuple):
    """One date's cross-section of usable names.

    Attributes:
        date: Session number.
        values: (names, steps, features) float32.
        labels: (names) float32, mean 0, deviation 1, clipped.
    """

    date: int
    values: Floats
    labels: Floats


class Trained(NamedTuple):
    """A network and how it did.

    Attributes:
        network: A torch module, in evaluation mode, on the CPU.
        metrics: Named figures for the card.
    """

    network: Any
    metrics: dict[str, float]


class Lstm(torch.nn.Module):  # type: ignore[misc]  # torch is an extra and untyped here
    """One layer over time, the last hidden state to one number.

    A unidirectional LSTM with the zero start the operator has by default: nothing in the graph
    depends on the number of names but its first axis.
    """

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__()
        self.lstm = torch.nn.LSTM(features, hidden, batch_first=True)
        self.head = torch.nn.Linear(hidden, 1)

    def forward(self, sequence: Any) -> Any:
        """Return (names) from (names, steps, features)."""
        _, (hidden, _) = self.lstm(sequence)
        return self.head(hidden[-1]).squeeze(-1)


def samples(panel: Panel, seed: int) -> list[Sample]:
    """Return the panel's cross-sections, oldest first; features as serving forms them.

    Raises:
        Misconfigured: Too few sessions.
    """
    random = np.random.default_rng(seed)
    last = panel.closes.shape[1] - HORIZON
    found = [_sample(panel, at, random) for at in range(HISTORY_SESSIONS, last, STRIDE)]
    if len(found) < DATES_MIN:
        raise Misconfigured(
            f"expected {DATES_MIN} training dates, was {len(found)}; give at least "
            f"{HISTORY_SESSIONS + STRIDE * DATES_MIN + HORIZON} sessions"
        )
    return found


def fit(dates: Sequence[Sample], *, seed: int, epochs: int, say: Callable[[str], None]) -> Trained:
    """Train on the older dates and measure on the newer ones."""
    cut = int(len(dates) * (1 - VALIDATION_SHARE))
    newest = dates[cut].date - HORIZON - 1
    older = [each for each in dates[:cut] if each.date <= newest]
    newer = dates[cut:]
    torch.manual_seed(seed)
    torch.set_num_threads(THREADS)
    torch.use_deterministic_algorithms(mode=True)
    network = Lstm(len(FEATURES), HIDDEN)
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=1e-3)
    order = np.random.default_rng(seed)
    for epoch in range(epochs):
        losses = [
            _learn(network, optimizer, older[at]) for at in order.permutation(len(older)).tolist()
        ]
        say(f"epoch {epoch + 1}/{epochs}: loss {float(np.mean(losses)):.4f}")
    network.eval()
    ics = validate(network, newer)
    return Trained(
        network,
        {
            "training_dates": float(len(older)),
            "validation_dates": float(len(newer)),
            "validation_rank_ic": float(np.mean(ics)),
            "validation_rank_ic_sd": float(np.std(ics)),
            "training_rank_ic": float(np.mean(validate(network, older))),
        },
    )


def validate(network: Any, dates: Sequence[Sample]) -> list[float]:
    """Return one rank correlation per date."""
    with torch.no_grad():
        return [
            _correlation(network(torch.from_numpy(each.values)).numpy(), each.labels)
            for each in dates
        ]


def _sample(panel: Panel, at: int, random: np.random.Generator) -> Sample:
    """The cross-section at the end of session ``at``, its newest price being that close."""
    window = slice(at - HISTORY_SESSIONS, at + 1)
    names = panel.closes.shape[0]
    values, mask = features_of(
        panel.closes[:, window],
        panel.highs[:, window],
        panel.lows[:, window],
        panel.volumes[:, window],
        panel.market[window],
        imbalance=np.clip(random.normal(0, NOISE_SD, names), -CLIP, CLIP),
        flow=np.clip(random.normal(0, NOISE_SD, names), -CLIP, CLIP),
    )
    ahead = panel.closes[:, at + HORIZON] / panel.closes[:, at] - 1.0
    usable = (mask != 0) & np.isfinite(ahead)
    labels = ahead[usable] - ahead[usable].mean()
    labels = np.clip(labels / max(float(labels.std()), SPREAD_MIN), -LABEL_CLIP, LABEL_CLIP)
    return Sample(at, values[usable], labels.astype(np.float32))


def _learn(network: Any, optimizer: Any, sample: Sample) -> float:
    optimizer.zero_grad()
    answers = network(torch.from_numpy(sample.values))
    labels = torch.from_numpy(sample.labels)
    spread = answers.std() * labels.std() + SPREAD_MIN
    loss = 1.0 - ((answers - answers.mean()) * (labels - labels.mean())).mean() / spread
    loss = loss + 0.05 * (answers - labels).square().mean()  # keeps the scale near the label's
    loss.backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimizer.step()
    return float(loss.detach())


def _correlation(left: Floats, right: Floats) -> float:
    a, b = rank(left.astype(np.float64)), rank(right.astype(np.float64))
    return float(np.corrcoef(a, b)[0, 1])
