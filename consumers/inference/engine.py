"""One ONNX Runtime session, on the provider that a probe has proved.

``onnxruntime.get_available_providers()`` and ``get_device()`` name CUDA on machines without a GPU,
and a session asked for CUDA falls back to the CPU without a word (measured, 1.31.1).  So a small
probe graph with the model's own kinds of operators is opened with the fallback disabled, and run.

Fixed settings: float32, two threads, no spinning (an idle session burns a core with it), no arena
(its memory grows with every new shape), sequential.  Same machine, same bytes.
"""

from importlib import resources
from typing import Any, Final

import numpy as np
import onnxruntime as ort

from consumers.inference.guard import pad
from schemas.errors import Fatal, Misconfigured, Transient
from schemas.model_card import INPUT_NAME, OUTPUT_NAME, Floats

CPU: Final = "CPUExecutionProvider"
CUDA: Final = "CUDAExecutionProvider"

PREFERRED: Final = (CUDA,)
"""Tried in order by a probe; the CPU is what remains."""

THREADS: Final = 2
WARM_RUNS: Final = 3

LOG_SEVERITY_FATAL: Final = 4
LOG_SEVERITY_ERROR: Final = 3


def probe(provider: str) -> bool:
    """Return whether ``provider`` really runs an LSTM and a matrix product on this machine."""
    if provider not in ort.get_available_providers():
        return False
    content = (resources.files("consumers.inference") / "models" / "probe.onnx").read_bytes()
    options = _options(LOG_SEVERITY_FATAL)
    if provider != CPU:
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    ort.set_default_logger_severity(LOG_SEVERITY_FATAL)  # a missing CUDA is no error here
    try:
        session = ort.InferenceSession(content, options, providers=[provider])
        [name] = [each.name for each in session.get_inputs()]
        [answer] = session.run(None, {name: np.ones((1, 2, 1), dtype=np.float32)})
    except Exception:  # noqa: BLE001 -- any failure of any kind means: not this provider
        return False
    finally:
        ort.set_default_logger_severity(LOG_SEVERITY_ERROR)
    return session.get_providers()[0] == provider and bool(np.isfinite(answer).all())


def choose_provider() -> str:
    """Return the first preferred provider that a probe proves, else the CPU."""
    return next((each for each in PREFERRED if probe(each)), CPU)


class Engine:
    """A model that is loaded, warm and ready.

    Args:
        content: The ONNX file.
        provider: As ``choose_provider`` gave it.
        steps: Steps of a row.
        features: Columns of a step.

    Raises:
        Misconfigured: The graph has other inputs, outputs or fixed rows, or the runtime did not
            give the provider that was asked for.
    """

    def __init__(self, content: bytes, *, provider: str, steps: int, features: int) -> None:
        providers = [provider] if provider == CPU else [provider, CPU]
        try:
            self._session = ort.InferenceSession(
                content, _options(LOG_SEVERITY_ERROR), providers=providers
            )
        except Exception as error:  # onnxruntime's errors share no root but Exception
            raise Misconfigured(f"expected an ONNX graph that loads, was {error}") from error
        self.provider: str = self._session.get_providers()[0]
        if self.provider != provider:
            raise Misconfigured(f"expected provider {provider}, was {self.provider}")
        _check_graph(self._session, steps, features)
        self._options = ort.RunOptions()
        for _ in range(WARM_RUNS):
            self.run(np.zeros((1, steps, features), dtype=np.float32))

    def run(self, values: Floats) -> Floats:
        """Return the scores of all rows, (names) float32.

        Args:
            values: (names, steps, features) float32, names >= 1.

        Raises:
            Poison: There are no rows.
            Transient: The run was told to stop by ``terminate``.
            Fatal: The runtime failed.
        """
        padded = pad(values)
        try:
            [scores] = self._session.run([OUTPUT_NAME], {INPUT_NAME: padded}, self._options)
        except Exception as error:  # onnxruntime's errors share no root but Exception
            if self._options.terminate:
                raise Transient("expected scores, was told to stop at the deadline") from error
            raise Fatal(f"expected scores, was {error}") from error
        return np.ascontiguousarray(scores[: values.shape[0]], dtype=np.float32)

    def terminate(self) -> None:
        """Make the run in progress end soon; may be called from another thread."""
        self._options.terminate = True

    def rearm(self) -> None:
        """Forget an earlier ``terminate``."""
        self._options.terminate = False


def _options(severity: int) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = THREADS
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.enable_cpu_mem_arena = False
    options.log_severity_level = severity
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _check_graph(session: Any, steps: int, features: int) -> None:
    inputs = {each.name: each.shape for each in session.get_inputs()}
    outputs = {each.name: each.shape for each in session.get_outputs()}
    if set(inputs) != {INPUT_NAME} or set(outputs) != {OUTPUT_NAME}:
        raise Misconfigured(
            f"expected input {INPUT_NAME} and output {OUTPUT_NAME}, was {inputs} and {outputs}"
        )
    shape = inputs[INPUT_NAME]
    if len(shape) != 3 or not isinstance(shape[0], str) or shape[1:] != [steps, features]:  # noqa: PLR2004 -- names, steps, features
        raise Misconfigured(
            f"expected (names, {steps}, {features}) with names dynamic, was {shape}; "
            "export with an example of two rows or more"
        )
