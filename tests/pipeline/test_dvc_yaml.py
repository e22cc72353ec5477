"""dvc.yaml names exactly what the scripts of the stages read and write.

A missing dependency would leave stale results in the cache. An unneeded one would run a stage again for nothing.
"""

from __future__ import annotations

import ast
import configparser
from itertools import combinations
from pathlib import Path

import pytest
import yaml

from charloom.params import DECIDE_NOTHING, Params
from code_deps import DECIDES_NO_OUTPUT, SRC, closure, code_deps, decides_output, imported, module_file
from tests.pipeline.workspace import CHECKOUT, STAGES, outs, read_stages

DVC = read_stages(CHECKOUT)
# The data that no earlier stage writes: the user's corpora, the embedded corpus, and the templates of the report.
FROM_OUTSIDE = {
    "download": {"corpora", "src/charloom/corpus/sample"},
    "evaluate": {"src/charloom/report/templates"},
}


def script(stage: str) -> Path:
    """The script that a stage's command names."""
    return CHECKOUT / next(word for word in DVC[stage]["cmd"].split() if word.endswith(".py"))


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def full_names(names: set[str]) -> set[str]:
    """Parameters as section.name. The name of a section stands for all of its parameters."""
    fields = {name: list(field.annotation.model_fields) for name, field in Params.model_fields.items()}  # type: ignore[union-attr]
    return {
        full for name in names for full in ([f"{name}.{key}" for key in fields[name]] if name in fields else [name])
    }


def decide_nothing() -> set[str]:
    """The parameters that decide no output, as section.name."""
    sections = {section for section, names in DECIDE_NOTHING.items() if names is True}
    keys = {f"{section}.{name}" for section in DECIDE_NOTHING.keys() - sections for name in DECIDE_NOTHING[section]}
    return full_names(sections | keys)


def used_params(tree: ast.Module, function: str, argument: int = 0) -> set[str]:
    """The sections and parameters that a function reads from its argument of type Params.

    If the function passes the argument on, the called function is searched too, unless its code decides no output.
    """
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    name = functions[function].args.args[argument].arg
    origins = {
        alias.asname or alias.name: (node.module, alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }
    parents = {child: node for node in ast.walk(functions[function]) for child in ast.iter_child_nodes(node)}
    used: set[str] = set()
    for node in ast.walk(functions[function]):
        if not (isinstance(node, ast.Name) and node.id == name):
            continue
        parent = parents[node]
        if isinstance(parent, ast.Attribute) and parent.attr == "deciding":
            used |= set(Params.model_fields)
        elif isinstance(parent, ast.Attribute):
            key = parents[parent]
            used.add(f"{parent.attr}.{key.attr}" if is_key(key, parent.attr) else parent.attr)  # type: ignore[attr-defined]
        else:
            assert isinstance(parent, ast.Call), f"{function}: {name} is neither read nor passed on"
            called = parent.func.value if isinstance(parent.func, ast.Attribute) else parent.func
            assert isinstance(called, ast.Name), f"{function}: {name} goes to {ast.unparse(parent.func)}"
            module, callee = origins.get(called.id, (None, called.id))
            file = module_file(module) if module else None
            if not file or decides_output(file):
                assert called is parent.func, f"{function}: {name} goes to a method, {ast.unparse(parent.func)}"
                used |= used_params(parse(file) if file else tree, callee, parent.args.index(node))
    return used


def is_key(node: ast.AST, section: str) -> bool:
    """Whether a node is the name of a parameter of the section, and not another attribute, such as `in_words`."""
    return isinstance(node, ast.Attribute) and f"{section}.{node.attr}" in full_names({section})


def stage_function(stage: str) -> str:
    """The name of the function that a script passes to run_stage."""
    calls = [node for node in ast.walk(parse(script(stage))) if isinstance(node, ast.Call)]
    run = next(call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "run_stage")
    name, function = run.args
    assert isinstance(name, ast.Constant)
    assert name.value == stage
    assert isinstance(function, ast.Name)
    return function.id


def test_the_stages_are_those_of_the_pipeline_in_order() -> None:
    assert tuple(DVC) == STAGES


@pytest.mark.parametrize("stage", STAGES)
def test_code_among_the_deps_is_what_the_script_imports(stage: str) -> None:
    assert [dep for dep in DVC[stage]["deps"] if dep.endswith(".py")] == code_deps(DVC[stage]["cmd"]), "run `make deps`"


@pytest.mark.parametrize("stage", STAGES)
def test_data_comes_first_among_the_deps(stage: str) -> None:
    is_code = [dep.endswith(".py") for dep in DVC[stage]["deps"]]
    assert is_code == sorted(is_code)


def test_code_that_decides_no_output_exists() -> None:
    assert all((CHECKOUT / name).exists() for name in DECIDES_NO_OUTPUT)


def test_the_closure_follows_imports_inside_functions_and_names_the_package(tmp_path: Path) -> None:
    file = tmp_path / "script.py"
    file.write_text("def run():\n    from charloom.training.keys import train_key\n")
    assert {path.relative_to(SRC).as_posix() for path in imported(file)} == {
        "charloom/__init__.py",
        "charloom/training/__init__.py",
        "charloom/training/keys.py",
    }
    assert SRC / "charloom/files.py" in closure(file)


@pytest.mark.parametrize("stage", STAGES)
def test_declared_params_are_those_that_decide_the_outs(stage: str) -> None:
    used = used_params(parse(script(stage)), stage_function(stage))
    assert full_names(set(DVC[stage]["params"])) == full_names(used) - decide_nothing()


def test_every_param_that_decides_something_belongs_to_a_stage() -> None:
    declared = set().union(*(full_names(set(stage["params"])) for stage in DVC.values()))
    assert declared == full_names(set(Params.model_fields)) - decide_nothing()


@pytest.mark.parametrize("stage", STAGES)
def test_data_among_the_deps_comes_from_an_earlier_stage(stage: str) -> None:
    earlier = [Path(out) for name in STAGES[: STAGES.index(stage)] for out in outs(DVC[name])]
    data = {dep for dep in DVC[stage]["deps"] if not dep.endswith(".py")}
    written = {dep for dep in data if any(Path(dep).is_relative_to(out) for out in earlier)}
    assert data - written == FROM_OUTSIDE.get(stage, set())


@pytest.mark.parametrize("stage", STAGES)
def test_every_out_is_cached_and_removed_before_a_run(stage: str) -> None:
    """`cache: false` or `persist: true` on one out would keep the whole stage out of the run cache."""
    listed = [*DVC[stage]["outs"], *DVC[stage].get("metrics", []), *DVC[stage].get("plots", [])]
    options = [option for out in listed if isinstance(out, dict) for option in next(iter(out.values()))]
    assert not {"cache", "persist"} & set(options)
    assert "frozen" not in DVC[stage]
    assert "always_changed" not in DVC[stage]


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_has_its_details_and_three_have_metrics(stage: str) -> None:
    assert f"details/{stage}.json" in DVC[stage]["outs"]
    compared = stage in ("baselines", "train", "evaluate")
    assert DVC[stage].get("metrics", []) == [f"metrics/{stage}.json"] * compared


def test_the_artifact_is_the_folder_of_the_model() -> None:
    ((name, artifact),) = yaml.safe_load((CHECKOUT / "dvc.yaml").read_text())["artifacts"].items()
    assert (name, artifact["type"]) == ("charloom", "model")
    inside = [out for out in outs(DVC["train"]) if Path(out).is_relative_to(artifact["path"])]
    assert inside == ["models/charloom/model.safetensors", "models/charloom/model.json"]


def test_no_out_is_inside_another_out() -> None:
    every = [Path(out) for stage in DVC.values() for out in outs(stage)]
    clashes = [(a, b) for a, b in combinations(every, 2) if a.is_relative_to(b) or b.is_relative_to(a)]
    assert not clashes


def test_dvc_sends_no_analytics_and_checks_for_no_updates() -> None:
    config = configparser.ConfigParser()
    config.read(CHECKOUT / ".dvc" / "config")
    assert not config.getboolean("core", "analytics")
    assert not config.getboolean("core", "check_update")
