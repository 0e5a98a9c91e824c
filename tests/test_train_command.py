"""The options of `hybridlab train`: familiar names stand for the plan's own."""

from __future__ import annotations

import pytest

from hybridlab.cli import main, parse
from hybridlab.configs import DemoConfig
from hybridlab.encoder_config import EncoderConfig
from hybridlab.training.plans import TrainPlan

SEED = [  # seed 002's command
    "--image_dir", "./images", "--annotation_file", "./annotations.json", "--num_classes", "80",
    "--batch_size", "32", "--learning_rate", "0.001", "--num_epochs", "50", "--save_dir",
    "./checkpoints",
]


def train(*options):
    return parse(["train", *options])


@pytest.mark.parametrize("hyphens", [False, True])
def test_the_seeds_command_is_understood(hyphens):
    options = [each.replace("_", "-") if hyphens and each.startswith("--") else each
               for each in SEED]
    given = train(*options)
    config, plan = given.settings()
    assert str(given.photos.image_dir) == "images" and str(given.save_dir) == "checkpoints"
    assert [str(path) for path in given.photos.annotation_file] == ["annotations.json"]
    assert given.photos.num_classes == 80
    assert (config.batch_size, config.lr, config.fusion_lr) == (32, 0.001, 0.001)
    assert (config.decoder_epochs, config.fusion_epochs, config.tune_epochs) == (50, 50, 1)
    assert (config.vision_lr, plan) == (DemoConfig().vision_lr, TrainPlan())


def test_without_them_all_is_as_it_was():
    given = train()
    assert given.settings() == (DemoConfig(), TrainPlan())
    assert given.photos.image_dir is None and given.encoders == EncoderConfig()
    assert train("--quick", "--num-epochs", "2").settings()[0].decoder_epochs == 2


def test_the_seeds_model_is_one_flag():
    given = train("--model", "cnn-rnn")
    config, plan = given.settings()
    assert given.encoders.cnn_name == "resnet152" and config.without == "clip"
    assert plan.plan == "frozen" and EncoderConfig().cnn_name == "efficientnet_lite0"
    assert train("--model", "cnn-rnn", "--plan", "joined").settings()[1].plan == "joined"
    assert train("--model", "cnn-rnn", "--cnn", "resnet50").encoders.cnn_name == "resnet50"


@pytest.mark.parametrize(("options", "words"), [
    (["--learning-rate", "0"], "learning_rate is 0.0; give a number above 0"),
    (["--num-epochs", "0"], "num_epochs is 0; give 1 or more"),
    (["--folder", "a", "--save-dir", "b"], "--save-dir is another name for --folder"),
    (["--annotation-file", "a.json"], "--annotation-file is about pictures; give their folder"),
    (["--image-dir", "x", "--shares", "1", "0", "1"], "give three numbers above 0"),
    (["--model", "cnn-rnn", "--clip", "ViT-B-32"], "model 'cnn-rnn' does without CLIP"),
    (["--learning-rate", "0.1", "--fusion-lr", "0.2"],
     "--learning-rate stands for --fusion-lr, too"),
    (["--num-epochs", "3", "--decoder-epochs", "4"],
     "--num-epochs stands for --decoder-epochs, too"),
    (["--model", "cnn-rnn", "--plan", "gradual"], "plan 'gradual' tunes CLIP's tower"),
    (["--model", "cnn-rnn", "--without", "cnn_rnn"], "would see nothing"),
    (["--image-dir", "x", "--train", "5"], "--train is a number of scenes"),
    (["--image-dir", "gone", "--annotation-file", "a.json"], "gone does not exist"),
])
def test_mistakes_take_one_line_and_leave_nothing(capsys, tmp_path, monkeypatch, options, words):
    monkeypatch.chdir(tmp_path)
    try:
        status = main(["train", *options])
    except SystemExit as left:
        status = left.code
    told = capsys.readouterr().err
    assert status == 2 and words in told and told.count("\n") == 1
    assert not any(tmp_path.iterdir())


def test_help_says_what_familiar_names_stand_for(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    told = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for words in ("--image-dir FOLDER", "--annotation-file FILE [FILE ...]", "--num-classes L",
                  "Stands for --lr RATE --fusion-lr RATE",
                  "Stands for --decoder-epochs N --fusion-epochs N",
                  "Another name for --folder; the bundle to predict with is PATH/bundle",
                  "seed 002's model in one word: ResNet-152"):
        assert words in told, words
