"""What a package imports is installed with the extra that its error messages name."""

from __future__ import annotations

import re
import sys
import tomllib
from importlib.metadata import packages_distributions

from tests.static.project import PACKAGES, ROOT, project_files
from tests.static.test_import_direction import imported

BY_ITSELF = {"rapidocr_onnxruntime"}  # an error message says how; no extra can leave out its OpenCV
WITH_ANOTHER = {"markupsafe"}  # jinja2's own


def requirements(*extras: str) -> set[str]:
    """Names of the distributions that extras bring, with those that the project always needs."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    lines = [*project["dependencies"], *(line for one in extras for line in requirements_of(project, one))]
    return {normalized(re.split(r"[\[<>=~! ]", line)[0]) for line in lines}


def requirements_of(project: dict, extra: str) -> list[str]:
    found = []
    for line in project["optional-dependencies"][extra]:
        if own := re.fullmatch(r"infinity-suite\[(.+)\]", line):
            found += [one for other in own[1].split(",") for one in requirements_of(project, other)]
        else:
            found.append(line)
    return found


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_extra_eval_installs_all_that_evaluation_imports() -> None:
    names = {
        name for path in project_files("evaluation", pattern="*.py") for name in imported(path.read_text())
    }
    installed, known = requirements("eval"), packages_distributions()
    foreign = names - set(sys.stdlib_module_names) - set(PACKAGES) - BY_ITSELF - WITH_ANOTHER
    assert {"scipy", "skimage", "transformers"} <= foreign
    missing = {
        name for name in foreign if not installed & {normalized(one) for one in known.get(name, [name])}
    }
    assert not missing
