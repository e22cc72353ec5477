"""dvc.yaml says exactly what the stages' scripts read and write: less is a stale cache, more a needless rerun."""

from __future__ import annotations

import ast
import configparser
from itertools import combinations
from pathlib import Path

import pytest

from charloom.params import DECIDE_NOTHING, Params
from code_deps import DECIDES_NO_OUTPUT, SRC, closure, code_deps, imported, module_file
from tests.pipeline.workspace import CHECKOUT, STAGES, outs, read_stages

DVC = read_stages(CHECKOUT)
STATED_ONLY = {"charloom.tracking.card"}
# What no out of an earlier stage is: a user's own corpora and the embedded one, the report's templates.
FROM_OUTSIDE = {
    "download": {"corpora", "src/charloom/corpus/sample"},
    "evaluate": {"src/charloom/report/templates"},
}


def script(stage: str) -> Path:
    """The script that a stage's command names."""
    return CHECKOUT / next(word for word in DVC[stage]["cmd"].split() if word.endswith(".py"))


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def leaves(names: set[str]) -> set[str]:
    """Parameters as section.name; a section is all of its names."""
    fields = {name: list(field.annotation.model_fields) for name, field in Params.model_fields.items()}  # type: ignore[union-attr]
    return {
        leaf for name in names for leaf in ([f"{name}.{key}" for key in fields[name]] if name in fields else [name])
    }


def decide_nothing() -> set[str]:
    """The parameters that decide no output, as section.name."""
    sections = {section for section, names in DECIDE_NOTHING.items() if names is True}
    keys = {f"{section}.{name}" for section in DECIDE_NOTHING.keys() - sections for name in DECIDE_NOTHING[section]}
    return leaves(sections | keys)


def used_params(tree: ast.Module, function: str, argument: int = 0) -> set[str]:
    """The `section` and `section.name` that a function reads of its argument of type Params, in its callees too."""
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
            used.add(f"{parent.attr}.{key.attr}" if is_key(key) else parent.attr)  # type: ignore[attr-defined]
        else:
            assert isinstance(parent, ast.Call), f"{function}: {name} is neither read nor passed on"
            assert isinstance(parent.func, ast.Name), f"{function}: {name} goes to {ast.unparse(parent.func)}"
            module, callee = origins.get(parent.func.id, (None, parent.func.id))
            if module not in STATED_ONLY:
                file = module_file(module) if module else None
                used |= used_params(parse(file) if file else tree, callee, parent.args.index(node))
    return used


def is_key(node: ast.AST) -> bool:
    """Whether it is the name of `params.section.name`, and not a method of the section."""
    return isinstance(node, ast.Attribute) and not node.attr.startswith("model_")


def stage_function(stage: str) -> str:
    """The function that a script hands to run_stage."""
    calls = [node for node in ast.walk(parse(script(stage))) if isinstance(node, ast.Call)]
    run = next(call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "run_stage")
    name, function = run.args
    assert isinstance(name, ast.Constant)
    assert name.value == stage
    assert isinstance(function, ast.Name)
    return function.id


def test_the_stages_are_those_of_the_design() -> None:
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
    assert leaves(set(DVC[stage]["params"])) == leaves(used) - decide_nothing()


def test_every_param_but_the_stated_exceptions_belongs_to_a_stage() -> None:
    declared = set().union(*(leaves(set(stage["params"])) for stage in DVC.values()))
    assert declared == leaves(set(Params.model_fields)) - decide_nothing()


@pytest.mark.parametrize("stage", STAGES)
def test_data_among_the_deps_comes_from_an_earlier_stage(stage: str) -> None:
    earlier = [Path(out) for name in STAGES[: STAGES.index(stage)] for out in outs(DVC[name])]
    data = {dep for dep in DVC[stage]["deps"] if not dep.endswith(".py")}
    written = {dep for dep in data if any(Path(dep).is_relative_to(out) for out in earlier)}
    assert data - written == FROM_OUTSIDE.get(stage, set())


@pytest.mark.parametrize("stage", STAGES)
def test_every_out_is_cached_and_removed_before_a_run(stage: str) -> None:
    """`cache: false` or `persist: true` on one out would keep the whole stage out of the run cache."""
    listed = [*DVC[stage]["outs"], *DVC[stage]["metrics"], *DVC[stage].get("plots", [])]
    options = [option for out in listed if isinstance(out, dict) for option in next(iter(out.values()))]
    assert not {"cache", "persist"} & set(options)
    assert "frozen" not in DVC[stage]
    assert "always_changed" not in DVC[stage]


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_has_its_metrics_file(stage: str) -> None:
    assert DVC[stage]["metrics"] == [f"metrics/{stage}.json"]


def test_no_stage_writes_into_anothers_outs() -> None:
    every = [Path(out) for stage in DVC.values() for out in outs(stage)]
    clashes = [(a, b) for a, b in combinations(every, 2) if a.is_relative_to(b) or b.is_relative_to(a)]
    assert not clashes


def test_dvc_tells_nobody_and_asks_nobody() -> None:
    config = configparser.ConfigParser()
    config.read(CHECKOUT / ".dvc" / "config")
    assert not config.getboolean("core", "analytics")
    assert not config.getboolean("core", "check_update")
