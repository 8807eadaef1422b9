"""The base class of all models: config, network, plain Python values in and out, and bundles."""

import hashlib
import inspect
import json
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Self

import torch
from huggingface_hub import PyTorchModelHubMixin
from torch import Tensor, nn

from zoo import html
from zoo.files import bundle
from zoo.methods.arrays import Array
from zoo.methods.base import Methods
from zoo.methods.config import ModelConfig
from zoo.models.decoders import array
from zoo.models.graphs import Graph
from zoo.nn import State, cell_name


class Features(NamedTuple):
    """The hidden states of a model's recurrent layers for some inputs, for use in other models.

    B inputs, T time steps, H hidden units.
    """

    outputs: Tensor  # (B, T, H * directions), 0 after an input's end
    lengths: Tensor  # (B,) int64: time steps of each input
    state: State  # after the last time step of each input


class Model(
    nn.Module,
    PyTorchModelHubMixin,
    Methods,
    library_name="rnn-zoo",
    tags=["recurrent-neural-network"],
):
    """A network with everything that turns raw input into an answer.

    A model is a plain `torch.nn.Module`: it can be a part of another module, exported or served. A
    subclass sets `task_name` and `config_class`, builds a network, and implements the abstract methods.
    `@zoo.register_model` registers it for `zoo.create` and `zoo.load`.

    `save_pretrained`, `push_to_hub` and `from_pretrained` work on bundles (see `zoo.files.bundle`).

    Args:
        config: Describes the model.
    """

    network: nn.Module
    about: dict[str, Any]  # plain values for the card of a saved bundle, see `zoo.files.card`

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name in ("task_name", "config_class"):
            if not hasattr(cls, name):
                raise TypeError(f"{cls.__name__}: a model needs the class attribute {name!r}")
        if not isinstance(cls.task_name, str) or not cls.task_name.isidentifier():
            raise TypeError(f"{cls.__name__}: task_name: got {cls.task_name!r}, expected a name, for example 'tagger'")
        if not isinstance(cls.config_class, type) or not issubclass(cls.config_class, ModelConfig):
            raise TypeError(f"{cls.__name__}: config_class: got {cls.config_class}, expected a subclass of ModelConfig")
        cls.config_class.check_class()
        if inspect.isfunction(inspect.getattr_static(cls, "takes")):
            raise TypeError(f"{cls.__name__}: takes: got a method, expected a text or a property")

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        if not isinstance(config, self.config_class):
            raise TypeError(f"config: got {type(config).__name__}, expected {self.config_class.__name__}")
        self.config, self.about = config, {}
        self._constants: dict[Any, Tensor] = {}
        self.network = self.build_network()

    # -- what a subclass defines

    @abstractmethod
    def build_network(self) -> nn.Module:
        """Builds the network that `self.config` describes. Its tensors are what a bundle stores."""

    @abstractmethod
    def forward(self, *tensors: Any) -> Any:
        """Maps the tensors of a batch to logits, or to values in the data's own units."""

    @abstractmethod
    def features(self, values: Any) -> Features:
        """Gives the hidden states for some inputs.

        Args:
            values: See `infer`.
        """

    def graphs(self) -> dict[str, Graph]:
        """What can be exported, by name: the whole sequence, and one step where it makes sense.

        Raises:
            ValueError: If there is nothing. A model that can be exported overrides this method.
        """
        raise ValueError(f"{self.model_name}: {type(self).__name__} has no `graphs` to export")

    def draw_seed(self) -> int:
        """See `Methods`: of PyTorch's generator."""
        return int(torch.randint(2**31, ()))

    # -- a session, see `Methods`

    def first_state(self) -> tuple[Array, ...]:
        """See `Methods`: that of the graph `sequence`."""
        graph = self.graphs().get("sequence")
        return () if graph is None else tuple(array(one) for one in graph.first.values())

    @torch.no_grad()
    def advance(self, inputs: tuple[Array, ...], state: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
        """See `Methods`."""
        with self.evaluating():
            answer, *new = self.graphs()["sequence"].run(*map(self.tensor, inputs), *map(self._stateful, state))
        return array(answer), tuple(map(array, new))

    def _stateful(self, state: Array) -> Tensor:
        return self.tensor(state).to(self.dtype)

    def digest(self) -> str:
        """See `Methods`: the SHA-256 of the config and the weights."""
        found = hashlib.sha256(json.dumps(self.config.as_dict(), sort_keys=True).encode())
        for name, weight in self.network.state_dict().items():
            found.update(name.encode())
            found.update(array(weight).tobytes())
        return found.hexdigest()

    def symbol_axes(self) -> dict[str, tuple[int, str]]:
        """Which tensors of the network have a row for each symbol: name -> (axis, the config's list of symbols)."""
        return {}

    # -- use

    @property
    def model_name(self) -> str:
        """The registry name, for example `char_lm_lstm`."""
        return f"{self.task_name}_{cell_name(self.config.cell)}"

    def __repr__(self) -> str:
        """A line. The modules are in `network`."""
        size = sum(weight.numel() for weight in self.parameters())
        return f"{type(self).__name__}: {self.model_name}, {size:,} parameters, takes {self.takes}"

    def _repr_html_(self) -> str:
        parameters = sum(weight.numel() for weight in self.parameters())
        return html.model(self.model_name, self.about, parameters, str(self.dtype).removeprefix("torch."), self.takes)

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return next(self.network.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the weights."""
        return next(self.network.parameters()).dtype

    def tensor(self, values: Any) -> Tensor:
        """Returns an array, or a tensor, as a tensor on the model's device."""
        return torch.as_tensor(values, device=self.device)

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Sets evaluation mode. On exit, restores the mode of every module."""
        modes = [(module, module.training) for module in self.modules()]
        self.eval()
        try:
            yield
        finally:
            for module, training in modes:
                module.training = training

    def constant(self, name: str, value: Any, like: Tensor) -> Tensor:
        """Returns numbers of the config as a tensor (1, 1, N), with the dtype and on the device of another one.

        It is kept, because copying it at each step would block a GPU.
        """
        key = (name, like.dtype, like.device)
        if key not in self._constants:
            with torch.inference_mode(False):  # training uses it, too
                self._constants[key] = torch.tensor(value, dtype=like.dtype, device=like.device).view(1, 1, -1)
        return self._constants[key]

    # -- bundles

    @classmethod
    def from_bundle(cls, folder: Path, config: bundle.Config) -> Self:
        """Loads the model of a bundle, in evaluation mode.

        Args:
            folder: The bundle.
            config: Its config, from `zoo.files.bundle.read_config`.

        Raises:
            ValueError: If the bundle is damaged, holds another kind of model, or its weights do not fit its config.
        """
        weights = bundle.read_weights(folder, config)
        model = cls.from_parts(config["name"], config["arguments"], weights, str(folder))
        model.about = config["about"]
        return model

    @classmethod
    def from_parts(cls, name: str, arguments: Mapping[str, Any], weights: Mapping[str, Tensor], source: str) -> Self:
        """Builds a model from its registry name, its config's values and its weights, in evaluation mode.

        Raises:
            ValueError: If they do not fit each other. The message names `source`.
        """
        cls.check_parts(name, arguments, weights, source)
        with torch.random.fork_rng(devices=[]):
            model = cls(cls.config_class.from_dict(arguments))
        model.network.load_state_dict(dict(weights))
        return model.eval()

    @classmethod
    def check_parts(cls, name: str, arguments: Mapping[str, Any], weights: Mapping[str, Tensor], source: str) -> None:
        """Checks that the arguments of `from_parts` fit together, before memory is allocated for a model.

        Raises:
            ValueError: See `from_parts`.
        """
        if not name.startswith(f"{cls.task_name}_"):
            raise ValueError(f"{source}: expected a {cls.task_name} model, got a {name}")
        # Each layer has its own tensors. A million layers would take long to build, even on the meta device.
        if not isinstance(layers := arguments.get("num_layers", 1), int) or layers > len(weights):
            raise ValueError(f"{source}: its weights do not fit its config: num_layers is {layers}")
        with torch.random.fork_rng(devices=[]), torch.device("meta"):
            try:
                model = cls(cls.config_class.from_dict(arguments))
            except (ValueError, RuntimeError, OverflowError) as error:
                raise ValueError(f"{source}: its config does not describe a {name}: {error}") from error
        expected = {key: tuple(tensor.shape) for key, tensor in model.network.state_dict().items()}
        found = {key: tuple(tensor.shape) for key, tensor in weights.items()}
        for key in sorted(expected.keys() | found.keys()):
            if (want := expected.get(key)) != (got := found.get(key)):
                raise ValueError(f"{source}: its weights do not fit its config: {key} is {got}, expected {want}")
        if model.model_name != name:
            raise ValueError(f"{source}: its name is {name}, but its cell is {cell_name(model.config.cell)}")

    def _save_pretrained(self, save_directory: Path) -> None:
        bundle.write(save_directory, self.model_name, self.config.as_dict(), self.network.state_dict(), self.about)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, **options: Any) -> Self:  # type: ignore[override]
        """Loads a bundle from a folder or from the Hugging Face Hub.

        Args:
            pretrained_model_name_or_path: A folder, or a repository `user/name`.
            **options: Options of `huggingface_hub.snapshot_download`, for example `revision`.

        Raises:
            ValueError: See `from_bundle`.
            OSError: If the Hub can't be reached.
        """
        folder = Path(pretrained_model_name_or_path)
        if not folder.is_dir():
            folder = bundle.download(str(pretrained_model_name_or_path), **options)
        return cls.from_bundle(folder, bundle.read_config(folder))
