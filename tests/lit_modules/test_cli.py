from __future__ import annotations

import pytest

from lit_modules.cli import main


def test_help_shows_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert "python -m lit_modules vae fit --config configs/vae/emoji.yaml" in capsys.readouterr().out


def test_a_bare_call_shows_the_help_but_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "usage:" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("model", "option"),
    [("vae", "--model.vae.quantizer.num_bits"), ("ar", "--model.objective.self_correction.max_flip")],
)
def test_help_of_a_model_explains_its_options(
    model: str, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([model, "fit", "--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert option in said
    assert "--model.resolution.stride" not in said  # written once, under data
    assert "--ema.decay" in said


def test_the_configuration_can_be_printed_without_running(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["vae", "fit", "--model.vae.quantizer.num_bits=7", "--print_config"])
    assert ended.value.code == 0
    assert "num_bits: 7" in capsys.readouterr().out
